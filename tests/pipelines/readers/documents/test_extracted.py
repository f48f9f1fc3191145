import pytest

from pipelines.readers.documents.extracted import NoDocumentError, Paragraphs, clean, described


def test_paragraphs_are_bounded_together_and_empty_ones_left_out():
    found = Paragraphs(10)
    for text in ("one", "  ", "\x01", "five"):
        found.add(text)
    assert found.extracted({"a": 1}, "nothing").text == "one\nfive"
    with pytest.raises(NoDocumentError, match="more than the 10 bytes"):
        found.add("ü")


def test_what_is_lost_is_kept_up_to_a_number_and_is_the_reason_where_nothing_is_left():
    found = Paragraphs(10)
    with pytest.raises(NoDocumentError, match=r"^nothing$"):
        found.extracted({}, "nothing")
    found.lose(2, "page 2 is torn")
    with pytest.raises(NoDocumentError, match="page 2 is torn"):
        found.extracted({}, "nothing")
    found.add("text")
    assert found.extracted({}, "nothing").lost == ((2, "page 2 is torn"),)
    for number in range(3, 102):
        found.lose(number, "torn")
    with pytest.raises(NoDocumentError, match="more than 100 of its pages cannot be read, the first: page 2"):
        found.lose(102, "torn")


def test_text_is_free_of_signs_that_are_none():
    assert clean(" in­for\x00ma\ud800tion\t\n ok \ufffe") == "information\t\n ok"


def test_metadata_is_one_line_and_several_values_are_joined():
    said = [("author", "A\n B"), ("author", "C"), ("author", "C"), ("title", ""), ("date", None)]
    assert described(said) == {"author": "A B, C"}
    assert len(described([("title", "x" * 5000)])["title"]) == 1000
