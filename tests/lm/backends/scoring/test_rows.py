import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from transformers import AutoTokenizer

from base.errors import RalmError
from lm.backends.scoring.rows import UNBOUNDED, Tokens, fitted, windows
from lm.reader import WHOLE, Row, Windows
from tests.lm.models import tiny_model


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Tokens:
    return Tokens(AutoTokenizer.from_pretrained(tiny_model(tmp_path_factory.mktemp("m"))))


@pytest.fixture(scope="module")
def begins(tmp_path_factory) -> Tokens:
    """As Llama's: it puts <s> before a text."""
    return Tokens(AutoTokenizer.from_pretrained(tiny_model(tmp_path_factory.mktemp("m"), begins=True)))


def test_context_and_text_come_from_one_tokenization(plain):
    row = plain.behind("The old", " bridge is grey.")
    assert row == Row(plain.of("The old"), plain.of(" bridge is grey."))
    assert row.context + row.text == plain.of("The old bridge is grey.")


@pytest.mark.parametrize("space", [" ", "\n", "\n\n  "])
def test_white_space_before_a_text_is_scored_with_it(plain, space):
    row = plain.behind("The old" + space, "bridge")
    assert row == plain.behind("The old", space + "bridge")
    assert row.context == plain.of("The old")


def test_a_token_that_reaches_into_the_text_is_scored(plain):
    assert plain.of("on the") == (*plain.of("on"), *plain.of(" the"))
    assert len(plain.of(" the")) == 1
    row = plain.behind("on t", "he bridge")
    assert row == Row(plain.of("on"), plain.of(" the bridge"))


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_no_token_is_lost_or_scored_twice(plain, context, text):
    row = plain.behind(context, text)
    whole = plain.of(context + text) if context.strip() else (plain.start, *plain.of(context + text))
    assert row.context + row.text in (whole, (plain.start, *whole))
    assert len(row.context) >= 1


def test_an_empty_context_is_the_token_that_begins_a_text(plain, begins):
    for tokens in (plain, begins):
        assert tokens.behind("", "bridge") == Row((tokens.start,), tokens.of("bridge"))
        assert tokens.behind(" \n", "bridge") == Row((tokens.start,), tokens.of(" \nbridge"))
        # Written by hand it is not put there once more, nor scored.
        assert tokens.behind("", "<s>bridge") == Row((tokens.start,), tokens.of("bridge"))


def test_an_empty_text_has_no_token(plain):
    assert plain.behind("The old ", "").text == ()
    assert plain.behind("", "").text == ()


def test_before_a_context_stands_what_the_tokenizer_puts_there_once(plain, begins):
    assert plain.behind("The old", " bridge").context == plain.of("The old")
    whole = (begins.start, *begins.of("The old"))
    assert begins.behind("The old", " bridge").context == whole
    assert begins.behind("<s>The old", " bridge").context == whole
    # A chat template writes its own, and white space behind it.
    assert begins.behind("The old\n", "bridge", template=True) == Row(
        begins.of("The old\n"), begins.of("bridge")
    )
    assert begins.behind("The old", " bridge", template=True).context == begins.of("The old")


def test_what_is_too_long_is_an_error_unless_the_context_may_be_shortened():
    row = Row(tuple(range(8)), (90, 91, 92))
    assert fitted(row, 10, False, "it") == (row, 0)  # The last token is scored, not read.
    with pytest.raises(RalmError, match="3 tokens behind 8 of context, but it holds 9: shorten both"):
        fitted(row, 9, False, "it")
    assert fitted(row, 9, True, "it") == (Row(tuple(range(1, 8)), (90, 91, 92)), 1)
    assert fitted(row, 3, True, "it") == (Row((7,), (90, 91, 92)), 7)
    with pytest.raises(RalmError, match="score the text in windows"):
        fitted(row, 2, True, "it")


@given(st.integers(0, 40), st.integers(1, 12), st.data())
def test_windows_are_those_of_lm_eval(length, size, data):
    stride = data.draw(st.integers(1, size))
    ids = list(range(100, 100 + length))
    found = [(list(row.context), list(row.text)) for row in windows(ids, 7, 12, Windows(size, stride)) if ids]
    wanted = map(make_disjoint_window, get_rolling_token_windows(ids, 7, size, size - stride + 1))
    assert found == list(wanted)
    assert [token for _, text in found for token in text] == ids
    assert all(len(context) + len(text) - 1 <= size for context, text in found)


def test_a_window_is_the_context_unless_told_or_unbounded():
    assert [len(row.text) for row in windows(range(10), 0, 4, WHOLE)] == [4, 4, 2]
    assert [len(row.text) for row in windows(range(3000), 0, UNBOUNDED, WHOLE)] == [2048, 952]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (Windows(13), "A window must have 1 to 12 tokens, which the reader holds, not 13"),
        (Windows(0), "not 0"),
        (Windows(6, 7), "A stride must have 1 to 6 tokens, those of its window, not 7"),
        (Windows(None, 0), "stride must have 1 to 12"),
    ],
)
def test_windows_that_do_not_fit_are_refused(how, sentence):
    with pytest.raises(RalmError, match=sentence):
        list(windows(range(5), 0, 12, how))
