from hypothesis import assume, given
from hypothesis import strategies as st

from lm.backends.generation.drafts import Decoder, Draft
from lm.backends.generation.vocabulary import Vocabulary
from lm.pending import Pending
from lm.prompts import Prompt
from lm.reader import Sampling


def written(reader, text, sampling, end=True):
    """The draft of a text that a model would write so, and the pieces that it gave."""
    tokenizer = reader._tokenizer
    pending = Pending(Prompt(text="x"), sampling)
    draft = Draft(pending, [[1, 2, 3]], False, Vocabulary(tokenizer, {0}))
    for token in [*tokenizer(text, add_special_tokens=False)["input_ids"], *([0] if end else [])]:
        if not draft.ended:
            draft.take(token)
    assert draft.ended
    return pending.completion(), pending


@given(text=st.text(max_size=40))
def test_pieces_are_the_text_whatever_its_characters(reader, text):
    ids = reader._tokenizer(text, add_special_tokens=False)["input_ids"]
    assume(reader._tokenizer.decode(ids, skip_special_tokens=True) == text)  # It lacks some bytes.
    decoder = Decoder(reader._tokenizer)
    pieces = [decoder.add(token) for token in ids] + [decoder.rest()]
    assert "".join(pieces) == text
    # Half a character goes to nobody.
    assert text.count("\ufffd") == sum(piece.count("\ufffd") for piece in pieces)


def test_a_draft_ends_at_its_end_token_its_stop_or_its_length(reader):
    whole, _ = written(reader, "Paris is large.", Sampling(24))
    assert (whole.text, whole.finished, whole.prompt_tokens) == ("Paris is large.", True, 3)
    stopped, _ = written(reader, "Paris is large.", Sampling(24, stop=(" large",)), end=False)
    assert (stopped.text, stopped.finished) == ("Paris is", True)
    cut, _ = written(reader, "Paris is large.", Sampling(2), end=False)
    assert (cut.text, cut.finished, cut.tokens) == ("Paris is", False, 2)


def test_nothing_of_a_stop_string_is_given_in_pieces(reader):
    stop = Sampling(24, stop=("\n\n",))
    (found, pending) = written(reader, "Paris.\n\nRome.", stop)
    assert found.text == "Paris."
    again = Pending(Prompt(text="x"), stop)
    draft = Draft(again, [[1]], False, Vocabulary(reader._tokenizer, {0}))
    for token in reader._tokenizer("Paris.\n\nRome.")["input_ids"]:
        if not draft.ended:
            draft.take(token)
    assert "".join(again.pieces()) == "Paris."
    assert pending.ended
