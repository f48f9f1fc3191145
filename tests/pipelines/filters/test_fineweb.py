import pytest
from datatrove.data import Document as TroveDocument
from datatrove.pipeline.filters import fineweb_quality_filter
from datatrove.utils.text import TERMINAL_PUNCTUATION
from hypothesis import given

from datastore.schema import Document
from pipelines.filters.fineweb import FineWeb, terminal_marks
from pipelines.filters.rule import Rejected
from pipelines.filters.text import Text
from tests.pipelines.filters.texts import pages, real

PARTS = {
    "empty": "empty",
    "line_punct_ratio": "punctuation",
    "short_line_ratio": "short_lines",
    "char_dup_ratio": "repeated_lines",
    "list_ratio": "lists",
}


@pytest.fixture(scope="module", autouse=True)
def same_words():
    """datatrove's rules over our words: its own tokenizers are downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fineweb_quality_filter, "split_into_words", lambda text, _: text.split())
        yield


def check(body):
    theirs = fineweb_quality_filter.FineWebQualityFilter().filter(TroveDocument(text=body, id="a"))
    ours = FineWeb().judge(Text(Document("a", "d", body)))
    assert (ours.part if isinstance(ours, Rejected) else True) == (
        theirs if theirs is True else PARTS[theirs[1]]
    )
    return ours


@given(pages())
def test_verdicts_agree_with_datatrove(body):
    check(body)


def test_real_documents_have_the_verdicts_of_datatrove():
    for body in real():
        check(body)


SENTENCE = "This line of the page is a sentence that says number {} and nothing else."
GOOD = "\n".join(SENTENCE.format(n) for n in range(10))


@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("empty", " \n \n"),
        ("punctuation", GOOD.replace(".", "")),
        ("short_lines", "Short.\n" * 3 + "\n".join(f"Line {n}." for n in range(20))),
        ("repeated_lines", f"{GOOD}\n{GOOD}"),
        ("lists", "\n\n\n\n".join(f"Seven words are on line number {n}." for n in range(10))),
    ],
)
def test_each_part_has_a_document_that_it_removes(part, body):
    assert check(body).part == part


def test_a_sound_page_stays():
    assert check(GOOD).body == GOOD


def test_sentences_end_in_every_script_that_datatrove_knows():
    assert terminal_marks() >= TERMINAL_PUNCTUATION
