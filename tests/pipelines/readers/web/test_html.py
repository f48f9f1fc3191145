import time
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.foreign import Refused
from pipelines.readers.records import Unreadable
from pipelines.readers.web.html import text_of_html
from tests.conftest import build_store
from tests.pipelines.readers.reading import read

PAGE = (
    "<html><body><p>The old stone bridge was built in 1787.</p>"
    "<p>Page two{} of the book, {}.</p></body></html>"
)
SPACES = ["&#12;", "&#x0C;", "&#11;", "&#xb;", "&#0012;", "&#12 "]
DROPPED = ["&#31;", "&#x1e;", "&#X1F;", "&#1;", "&#xfffe;", "&#xFFFF;", "&#8"]


@pytest.mark.parametrize("reference", SPACES + DROPPED)
def test_a_control_character_written_as_a_number_costs_no_word(reference):
    text = text_of_html(PAGE.format(reference, "é").encode())
    assert "built in 1787." in text
    assert "Page two of the book, é." in text


def test_a_control_character_parts_words_as_in_a_browser():
    assert "two of three" in text_of_html(PAGE.format("&#12;of three", "").encode())
    assert "twoof three" in text_of_html(PAGE.format("&#30;of three", "").encode())


@pytest.mark.parametrize("reference", ["&#65;", "&#x41;", "&#" + "0" * 9000 + "65;", "&#1234567;", "&#9;"])
def test_other_references_stay(reference):
    text = text_of_html(PAGE.format("", reference).encode())
    shown = {"&#1234567;": "\ufffd", "&#9;": ""}.get(reference, "A")
    assert f"of the book, {shown}." in text.replace(",.", ", .")


def test_a_page_with_a_control_character_is_read_and_the_store_built(tmp_path):
    path = tmp_path / "a.html"
    path.write_text(PAGE.format("&#12;", "&#x1e;"))
    (page,) = read(path, kind="html")
    assert not isinstance(page, Unreadable)
    assert build_store(tmp_path / "s", path).counts["indexed"] == 1


@pytest.mark.parametrize(
    "attribute", [" a{}=1", " a{}", '/a{}="x > y"', "\na{} = '1'", 'a{}="1"', " =a{}", ' "a{}"=1']
)
def test_a_tag_of_very_many_attributes_takes_no_time(attribute):
    attributes = "".join(map(attribute.format, range(50_000)))
    page = f"<p{' b ' if attribute[0] == 'a' else ''}{attributes}>The old bridge.</p><p>The river.</p>"
    began = time.process_time()
    assert text_of_html(page.encode()) == "The old bridge.\nThe river."
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "long",
    ['<img src="{}" alt="a">', "<!--{}-->", "<script>'<p>'{}</script>", "<STYLE>{}</style >", "<p>{}</p>"],
)
def test_what_is_very_long_costs_nothing_behind_it(long):
    page = f"<p>The old bridge.</p>{long.format('abcdefg ' * 1_400_000)}<p>The river.</p>"
    text = text_of_html(f"<html><body>{page}</body></html>".encode())
    assert text.startswith("The old bridge.")
    assert text.endswith("The river.")
    assert text.count("abcdefg") == (1_400_000 if "<p>{" in long else 0)


def test_one_bad_byte_of_a_stated_charset_garbles_nothing(tmp_path):
    text = "Le vieux pont de pierre sur la rivière fut bâti au printemps 1787 par des maçons de la vallée."
    path = tmp_path / "a.html"
    path.write_bytes(b'<meta charset="utf-8"><p>' + text.encode() + b"\xc3 </p>")
    (page,) = read(path, kind="html")
    assert page.text == text + "\ufffd"


FRAGMENTS = {
    "<p>The old stone bridge was built in 1787.</p>": "The old stone bridge was built in 1787.",
    "The old stone bridge was built in 1787.": "The old stone bridge was built in 1787.",
    "<body>The bridge": "The bridge",
    "<div>The <b>old</b> bridge</div>": "The old bridge",
    "The bridge &amp; the river,\n\nfor a < b and c.": "The bridge & the river,\nfor a < b and c.",
    "<!-- built --><h1>The bridge</h1>": "The bridge",
    "<?xml version='1.0' encoding='utf-8'?>\n<p>Le pont bâti</p>": "Le pont bâti",
    "\ufeff\n <li>The bridge": "The bridge",
    "<svg><text>The bridge</text></svg>": "The bridge",
    "<p>The old stone bridge was\x01 built\0 in 1787.</p>": "The old stone bridge was built in 1787.",
}


@pytest.mark.parametrize("page", FRAGMENTS)
def test_a_fragment_is_read_as_browsers_show_it(page):
    assert text_of_html(page.encode()) == FRAGMENTS[page]


@given(
    st.lists(st.text("abcdeé", min_size=1, max_size=8), min_size=1, max_size=40),
    st.sampled_from(
        ["{}", "<p>{}</p>", "<div><p>{}", "<span>{}</span>", "<section>{}</section>", "<!doctype html>{}"]
    ),
)
@settings(deadline=None, max_examples=50)
def test_the_words_of_any_fragment_are_found(words, fragment):
    found = text_of_html(fragment.format(" ".join(words)).encode(), "text/html; charset=utf-8")
    assert found.split() == words


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b" \n",
        b"<title>T</title>",
        b"<html><head><title>T</title></head></html>",
        b"<img src=a>",
        b"<script>var bridge = 1</script>",
        b"<html><body><style>p {}</style></body></html>",
        zlib.compress(bytes(range(256)) * 40 + b"The bridge", 0),
        b"\x89PNG\r\n\x1a\n" + zlib.compress(" ".join(map(str, range(3000))).encode()),
    ],
)
def test_what_shows_no_text_has_none(page):
    assert text_of_html(page) == ""


PIECES = st.sampled_from(
    [
        b"<p>",
        b"</p>",
        b"<!--",
        b"&#12;",
        b"&#xd800;",
        b"<table><td>",
        b"<meta charset=gbk>",
        b"<svg>",
        b"\0",
        b"words ",
    ]
)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(PIECES | st.binary(max_size=20), max_size=30).map(b"".join),
    st.sampled_from(["utf-8", "gbk", "euc-jp", "utf-16", "x-user-defined", "iso-2022-jp", "none-such", ""]),
)
def test_any_bytes_in_any_charset_are_a_text_or_refused(page, charset):
    with suppress(Refused):
        assert isinstance(text_of_html(page, f"text/html; charset={charset}"), str)
