import pytest
from datatrove.data import Document as TroveDocument
from datatrove.pipeline.filters import gopher_quality_filter, gopher_repetition_filter
from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.filters.gopher import GopherQuality, GopherRepetition
from pipelines.filters.rule import Rejected
from pipelines.filters.text import Text
from tests.pipelines.filters.texts import LINES, pages, real

# What datatrove calls the parts of the rules.
QUALITY = {
    "gopher_short_doc": "short_doc",
    "gopher_long_doc": "long_doc",
    "gopher_below_avg_threshold": "short_words",
    "gopher_above_avg_threshold": "long_words",
    "gopher_too_many_hashes": "hashes",
    "gopher_too_many_ellipsis": "ellipses",
    "gopher_too_many_bullets": "bullets",
    "gopher_too_many_end_ellipsis": "cut_lines",
    "gopher_below_alpha_threshold": "letters",
    "gopher_enough_stop_words": "stop_words",
}
REPETITION = {
    "dup_para_frac": "repeated_paragraphs",
    "dup_para_char_frac": "paragraphs_characters",
    "dup_line_frac": "repeated_lines",
    "dup_line_char_frac": "lines_characters",
    **{f"top_{n}_gram": f"top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"repeated_{n}_grams" for n in range(5, 11)},
}


@pytest.fixture(scope="module", autouse=True)
def same_words():
    """datatrove's rules over our words: its own tokenizers are downloaded, and to it a bullet is a word."""
    with pytest.MonkeyPatch.context() as patch:
        marks = gopher_quality_filter.PUNCTUATION_SET | set("•…")
        patch.setattr(gopher_quality_filter, "PUNCTUATION_SET", marks)
        for module in (gopher_quality_filter, gopher_repetition_filter):
            patch.setattr(module, "split_into_words", lambda text, _: text.split())
        yield


def ours(rule, body):
    verdict = rule.judge(Text(Document("a", "d", body)))
    return verdict.part if isinstance(verdict, Rejected) else None


def theirs(rule, body, names):
    verdict = rule.filter(TroveDocument(text=body, id="a"))
    return None if verdict is True else names[verdict[1]]


def check_quality(body):
    assert ours(GopherQuality(), body) == theirs(gopher_quality_filter.GopherQualityFilter(), body, QUALITY)


def check_repetition(body):
    assert ours(GopherRepetition(), body) == theirs(
        gopher_repetition_filter.GopherRepetitionFilter(), body, REPETITION
    )


@given(pages())
def test_quality_agrees_with_datatrove(body):
    check_quality(body)


@given(pages().filter(bool))
def test_repetition_agrees_with_datatrove(body):
    check_repetition(body)


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "the", "of"]), min_size=1, max_size=120))
def test_repetition_agrees_with_datatrove_where_n_grams_overlap(words):
    check_repetition(" ".join(words))


def test_real_documents_have_the_verdicts_of_datatrove():
    for body in real():
        check_quality(body)
        check_repetition(body)


def every_part():
    good = real()[0]
    sentence = "All of the words that follow have to be read with care. "
    yield "short_doc", "Too few words."
    yield "long_doc", "word the of " * 40_000
    yield "short_words", "a b of to " * 40
    yield "long_words", "incomprehensibilities the of " * 5 + "incomprehensibilities " * 60
    yield "hashes", "#" * 60 + good[:600]
    yield "ellipses", sentence * 6 + "... " * 20
    yield "bullets", f"{LINES[1]}\n" * 40
    yield "cut_lines", "and so it goes with the rest of that ...\n" * 30 + sentence * 40
    yield "letters", "1234 " * 60 + sentence * 6
    yield "stop_words", "Every word here differs wildly " * 20


@pytest.mark.parametrize(("part", "body"), every_part(), ids=lambda value: value[:12])
def test_each_part_of_quality_has_a_document_that_it_removes(part, body):
    assert ours(GopherQuality(), body) == part
    check_quality(body)


def test_a_reason_says_what_was_found_and_what_is_allowed():
    rejected = GopherQuality().judge(Text(Document("a", "d", "Just five words are here.")))
    assert str(rejected) == "short_doc: 5 words, at least 50"


def test_an_empty_document_is_short_not_an_error():
    assert ours(GopherQuality(min_words=0), "") == "short_doc"
    assert ours(GopherRepetition(), "") is None
