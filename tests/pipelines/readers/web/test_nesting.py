import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pipelines.readers.web.html import text_of_html
from pipelines.readers.web.nesting import flattened

PAGE = (
    "<html><body><p>The first words.</p>{}<p>The old stone bridge.</p>{}<p>The last words.</p></body></html>"
)
CHAINS = [
    "div",
    "b",
    "font",
    "span",
    "blockquote",
    "ul><li",
    "table><tr><td",
    "section",
    "a:b",
    "DIV",
    "form",
]


def nested(chain, tags):
    """A page in which so many tags, or a few less, lie in each other."""
    names = chain.split("><")
    depth = tags // len(names)
    begin, end = (
        f"<{chain}>" * depth,
        "".join(f"</{name}>" for name in reversed(names)) * depth,
    )
    return PAGE.format(begin, end)


@pytest.mark.parametrize("tags", [254, 300, 900, 5000])
@pytest.mark.parametrize("chain", CHAINS)
def test_tags_that_lie_deep_cost_no_text(chain, tags):
    text = text_of_html(nested(chain, tags).encode())
    for words in ("The first words.", "The old stone bridge.", "The last words."):
        assert words in text


def test_tags_that_nothing_closes_cost_no_text():
    page = "".join(f"<p>Line {n} of <font color=red>the old<b> book.</p>" for n in range(400))
    text = text_of_html(f"<html><body>{page}</body></html>".encode())
    assert [f"Line {n} of the old book." in text for n in range(400)] == [True] * 400


def test_what_is_not_shown_is_not_shown_when_it_lies_deep():
    text = text_of_html(
        nested("div", 400).replace("<p>The old", "<script>'<b>hidden'</script><p>The old").encode()
    )
    assert "hidden" not in text


@pytest.mark.parametrize(
    "page", ["", "<", "<p>The bridge.", "<div>" * 200, nested("b", 20), "<p>a</p>" * 1000]
)
def test_other_pages_stay_as_they_are(page):
    assert flattened(page) == page


TAGS = st.sampled_from(
    ["<b>", "</b>", "<div>", "</div>", "<p>", "</p>", "<li>", "<table>", "</table>", "<i x='>'>"]
)


@settings(max_examples=50)
@given(st.lists(TAGS, min_size=1, max_size=6), st.integers(1, 400))
def test_lxml_reads_each_page_to_its_end(tags, times):
    page = f"<html><body>{'word '.join(tags) * times} last.</body></html>"
    tree = etree.fromstring(flattened(page).encode(), etree.HTMLParser())
    found = "".join(tree.itertext())
    assert found.endswith("last.")
    assert found.count("word") == page.count("word")


def test_a_page_of_tags_alone_takes_no_time():
    began = time.process_time()
    for page in ("<div>" * 100_000, "<a <" * 100_000, "<b></i>" * 50_000, "<div><b x='" * 50_000):
        flattened(page)
    assert time.process_time() - began < 5
