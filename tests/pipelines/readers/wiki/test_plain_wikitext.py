import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.records import Skipped
from pipelines.readers.wiki.plain_wikitext import clean
from pipelines.readers.wiki.wikitext import plain_text
from pipelines.readers.wiki.wikitext_names import UNSEEN
from tests.pipelines.readers.reading import END, HEAD, page, read

MARKS = ["{{", "}}", "{{a|", "[[", "]]", "[[a|", "\n{|", "\n|}", "|", "<ref>", "</ref>", "<b>", "<!--", "-->",
         "]", "&amp;", "&#" + "9" * 5000 + ";", "&#xD800;", "\n== a ==\n", "\n* ", "word ", "[[File:", "<",
         ">", "[http://a ", "__TOC__"]  # fmt: skip


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("A [[river]], a [[bank (geography)|bank]] and [[bridge]]s.", "A river, a bank and bridges."),
        ("[http://example.org A site] and [1].", "A site and 1."),
        ("Text{{cite web|url={{x|y}}}}<ref>A [[note]].</ref><ref name=a /> on.", "Text on."),
        ("[[File:A.jpg|thumb|A [[caption]].]]Text.[[Category:Towns]][[de:Stadt]]", "Text."),
        ("\n{| class=x\n|-\n| cell\n|}\nText.", "\n\nText."),
        ("x<sup>2</sup> &amp; one<br>two<!-- not seen -->", "x2 & one\ntwo"),
        ("{{open [[and <ref> on.", "open and  on."),
        ("Seen.<!-- to the end", "Seen."),
        ("* one\n# two", " one\n two"),
        ("== Later ==", "\nLater\n"),
    ],
)
def test_most_is_as_the_parser_has_it(wikitext, text):
    assert clean(wikitext, UNSEEN) == text


@given(st.lists(st.sampled_from(MARKS), max_size=30).map("".join))
def test_any_marks_are_cleaned_and_no_word_outside_them_is_lost(wikitext):
    found = clean(f"First. {wikitext}", UNSEEN)
    assert found.startswith("First.")
    found.encode()


@pytest.mark.parametrize(
    "unit",
    [
        "{{a|",
        "{{",
        "[[",
        "[[a|",
        "\n{|\n|a",
        "<ref name=a>",
        '<div a="',
        "<!",
        "[http://a ",
        "<aaaa",
        "&#1",
        "((",
    ],
)
def test_a_page_that_no_parser_gets_through_is_kept_as_plain_text(tmp_path, unit):
    path = tmp_path / "a.xml"
    tangled = "The old bridge.\n" + unit * (32_000 // len(unit)) + "\nIt was built in [[year|1787]]."
    path.write_bytes(HEAD + page(1, tangled) + page(2, "#REDIRECT [[One]]") + page(3) + END)
    one, redirect, three = read(path, kind="mediawiki")
    assert one.text.startswith("The old bridge.")
    assert one.metadata["title"] == "Title 1"
    assert redirect == Skipped("redirect")
    assert three.text == "Some text."


def test_the_input_of_the_report_takes_no_time_and_keeps_its_words():
    assert "Built in 1787." in plain_text("{{a|" * 8000 + " Built in [[1787]].")
