import re

from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.filters.text import Text, duplicates


def text_of(body):
    return Text(Document("a", "d", body))


@given(st.lists(st.text("ab c\nü"), max_size=4))
def test_several_texts_have_the_words_of_each(bodies):
    documents = [Document(str(n), "d", body) for n, body in enumerate(bodies)]
    for document, text in zip(documents, Text.several(documents), strict=True):
        alone = Text(document)
        assert text == alone
        assert "words" in text.__dict__
        assert text.words.hashes.tolist() == alone.words.hashes.tolist()
        assert text.words.tally == alone.words.tally


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
