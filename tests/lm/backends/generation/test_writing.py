"""Batches against a loop that runs the whole text through the model for each token."""

import pytest
import torch

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.pending import Pending
from lm.prompts import Ensemble, Prompt
from lm.reader import Sampling
from tests.lm.models import KINDS, tiny_model

TEXTS = [
    "The old bridge",
    "Who built the old bridge, and of what stone, in the year of the flood? The people of the town say",
    "Blue glass is",
    "The river runs by the market of Dunmarrow",
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A reader of each kind, in float32, opened once."""
    found = {}

    def of(kind: str) -> TransformersReader:
        if kind not in found:
            reader = TransformersReader(
                ReaderChoice(str(tiny_model(tmp_path_factory.mktemp(kind), kind)), "none")
            )
            reader._model.float()
            found[kind] = reader
        return found[kind]

    return of


def nobody(reading):
    """Who joins those that are being written."""
    return []


def naive(reader, text, tokens):
    """The likeliest tokens, one after another, without any cache."""
    ids = reader._tokenizer(text, add_special_tokens=False)["input_ids"]
    begin = len(ids)
    for _ in range(tokens):
        with torch.no_grad():
            whole = torch.tensor([ids], device=reader._model.device)
            ids.append(int(reader._model(whole).logits[0, -1].argmax()))
        if ids[-1] in reader._vocabulary.ends:
            return reader._tokenizer.decode(ids[begin:-1], skip_special_tokens=True).strip()
    return reader._tokenizer.decode(ids[begin:], skip_special_tokens=True).strip()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_each_text_what_it_gets_alone_token_by_token(opened, kind):
    reader = opened(kind)
    prompts = [Prompt(text=text) for text in TEXTS]
    expected = [naive(reader, text, 24) for text in TEXTS]
    assert [one.text for one in reader.generate(prompts, Sampling(24))] == expected
    assert [reader.generate([one], Sampling(24))[0].text for one in prompts] == expected
    assert ["".join(reader.stream(one, Sampling(24))).strip() for one in prompts] == expected


def test_each_text_of_a_batch_has_its_own_end_and_leaves_then(opened):
    reader = opened("llama")
    samplings = [Sampling(3), Sampling(12), Sampling(7), Sampling(9, temperature=1.0, seed=4)]
    asked = [Prompt(text=text) for text in TEXTS]
    asked[2] = Ensemble((Prompt(text=TEXTS[2]), Prompt(text=TEXTS[0])), (0.5, 0.5))
    drafts = [reader.prepare(Pending(one, how)) for one, how in zip(asked, samplings, strict=True)]
    read = []
    reader._writer.write(drafts, read.append, nobody)
    found = [draft.pending.completion() for draft in drafts]
    assert found == [reader.generate([one], how)[0] for one, how in zip(asked, samplings, strict=True)]
    # Rows: five at first, of which two are the ensemble's.
    assert [one.tokens for one in found] == [3, 12, 7, 9]
    assert read[1:] == [5] * 2 + [4] * 4 + [2] * 2 + [1] * 3
    assert read[0] == sum(len(row) for draft in drafts for row in draft.rows)


def test_a_text_that_nobody_wants_any_more_leaves_the_batch(opened):
    reader = opened("llama")
    drafts = [reader.prepare(Pending(Prompt(text=text), Sampling(12))) for text in TEXTS]
    rows = []

    def before(tokens: int) -> None:
        rows.append(tokens)
        if len(rows) == 4:
            drafts[1].pending.leave()

    reader._writer.write(drafts, before, nobody)
    assert rows[3:6] == [4, 3, 3]
    for at in (0, 2, 3):
        alone = reader.generate([Prompt(text=TEXTS[at])], Sampling(12))[0]
        assert drafts[at].pending.completion() == alone


def test_those_who_join_a_batch_on_the_way_get_what_they_get_alone(opened):
    """Shorter and longer prompts than those being written, at several moments."""
    reader = opened("gpt2-learned")
    samplings = [Sampling(14), Sampling(9), Sampling(5), Sampling(11)]
    asked = [Prompt(text=text) for text in TEXTS]
    expected = [reader.generate([one], how)[0] for one, how in zip(asked, samplings, strict=True)]
    for order in ((0, 1, 2, 3), (1, 0, 3, 2)):
        drafts = [reader.prepare(Pending(asked[at], samplings[at])) for at in order]
        coming, seen = drafts[1:], []

        def more(reading, coming=coming, seen=seen):
            seen.append(len(reading))
            return [coming.pop(0)] if coming and len(seen) in (2, 3, 6) else []

        reader._writer.write(drafts[:1], lambda tokens: None, more)
        assert [draft.pending.completion() for draft in drafts] == [expected[at] for at in order]
        assert max(seen) > 2
