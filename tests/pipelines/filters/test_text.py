import re

from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.filters import text as module
from pipelines.filters.text import Text, Words, duplicates, hash_of, n_gram_hashes


def text_of(body):
    return Text(Document("a", "d", body))


@given(st.text())
def test_words_are_those_between_white_space(body):
    words = Words.of(body)
    expected = body.split()
    assert words.lengths.tolist() == [len(word) for word in expected]
    assert words.letters.tolist() == [any(map(str.isalpha, word)) for word in expected]
    assert words.symbols.tolist() == [not any(map(str.isalnum, word)) for word in expected]


@given(st.lists(st.text("ab\0ü", min_size=1, max_size=5), min_size=1))
def test_hashes_are_equal_for_equal_words_only(words):
    hashes = Words.of(" ".join(words)).hashes.tolist()
    assert len(set(hashes)) == len(set(words))
    assert {word: hash_of(word) for word in words} == dict(zip(words, hashes, strict=True))


def test_hashes_are_the_same_after_the_memory_of_words_was_cleared(monkeypatch):
    before = Words.of("one two one").hashes.tolist()
    monkeypatch.setattr(module, "_MOST_WORDS", 0)
    assert Words.of("zero one two").hashes.tolist()[1:] == before[:2]


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 4))
def test_n_grams_are_equal_for_equal_words_only(words, n):
    hashes = n_gram_hashes(Words.of(" ".join(words)).hashes, n).tolist()
    expected = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    assert len(hashes) == len(expected)
    assert len(set(hashes)) == len(set(expected)) == len(set(zip(hashes, expected, strict=True)))


@given(st.text("ab\n ", max_size=20))
def test_lines_and_paragraphs_lie_between_line_feeds(body):
    text = text_of(body)
    assert text.filled_lines == re.split(r"\n+", body)
    assert text.paragraphs == re.split(r"\n{2,}", body.strip())


@given(st.lists(st.sampled_from(["", "a", "bb"])))
def test_duplicates_are_what_an_earlier_part_says(parts):
    repeated = [part for at, part in enumerate(parts) if part in parts[:at]]
    assert duplicates(parts) == (len(repeated), sum(map(len, repeated)))


def test_another_body_counts_what_was_dropped_and_keeps_the_document():
    text = text_of("a\nb\nc").with_body("a\nb", 1).with_body("a", 1)
    assert text.document == Document("a", "d", "a")
    assert text.dropped == 2
    assert text.with_body("a", 5) is text


def test_metadata_is_added_and_what_was_computed_stays():
    text = text_of("some words here")
    words = text.words
    labelled = text.with_metadata({"language": "en"})
    assert labelled.document.metadata == {"language": "en"}
    assert labelled.words is words
