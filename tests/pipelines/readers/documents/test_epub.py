import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers.documents.epub import extract
from pipelines.readers.documents.extracted import NoDocumentError
from tests.pipelines.readers.office import book, zipped

LIMIT = 1 << 20
XHTML = '<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11.dtd">'


def test_a_book_is_one_document_in_the_order_of_its_spine():
    made = book(
        "<h1>One</h1><p>It was <i>dark</i>.</p>",
        "<h1>Two</h1><p>It was light.</p>",
        title="Days",
        creator="A. Night",
        language="en",
        date="1901-02-03T00:00:00Z",
    )
    found = extract(made, LIMIT)
    assert found.text.splitlines() == ["One", "It was dark.", "Two", "It was light."]
    assert found.metadata == {"title": "Days", "author": "A. Night", "language": "en", "date": "1901-02-03"}


def lines(*pages, **settings):
    return extract(book(*pages, **settings), LIMIT).text.splitlines()


def test_blocks_lists_tables_and_breaks_are_lines_of_their_own():
    page = (
        "<div>Before <p>A\n  paragraph.</p> behind</div><ul><li>one</li><li><p>two</p></li></ul>"
        "<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr><tr><th>d</th></tr></table>"
        "a<br/>b<hr/><script>no</script><style>no</style><!-- no --><p>in­for­ma­tion</p>"
    )
    assert lines(page) == [
        "Before",
        "A paragraph.",
        "behind",
        "- one",
        "- two",
        "a b | c",
        "d",
        "a",
        "b",
        "information",
    ]


def test_entities_of_html_and_pages_that_are_no_xml_are_read():
    assert lines("<p>A&nbsp;b&mdash;c &amp; d&lt;e&unknown;</p>", head=XHTML)[0].startswith("A b—c & d<e")
    assert lines("<p>An <b>open tag & a sign<p>more") == ["An open tag & a sign", "more"]


def test_what_is_not_of_the_book_is_left_out():
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
        '<item id="n" href="page 0.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        '<item id="i" href="a.png" media-type="image/png"/>'
        '<item id="t" href="page%201.xhtml#top" media-type="application/xhtml+xml"/></manifest><spine>'
        '<itemref idref="n"/><itemref idref="i"/><itemref idref="gone"/><itemref idref="t"/>'
        "</spine></package>"
    )
    made = book("<p>Contents</p>", "<p>The text.</p>", extra={"OEBPS/book.opf": opf})
    assert extract(made, LIMIT).text == "The text."


def encryption(algorithm):
    return {
        "META-INF/encryption.xml": '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
        'xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>'
        f'<e:EncryptionMethod Algorithm="{algorithm}"/><e:CipherData>'
        '<e:CipherReference URI="OEBPS/page%200.xhtml"/></e:CipherData></e:EncryptedData></encryption>'
    }


def test_an_encrypted_book_says_so_and_scrambled_fonts_do_not_matter():
    with pytest.raises(NoDocumentError, match="is encrypted"):
        extract(book("<p>x</p>", extra=encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc")), LIMIT)
    assert lines("<p>x</p>", extra=encryption("http://www.idpf.org/2008/embedding")) == ["x"]


MISSING = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="p" href="gone.xhtml" '
    'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="p"/></spine></package>'
)


def test_a_page_that_is_missing_or_damaged_costs_itself():
    made = book("<p>One.</p>", "<p>Two.</p>" * 3, "<p>Three.</p>")
    for lost, reason in (
        (made.replace(b"page 1.xhtml", b"page 9.xhtml"), "missing"),
        (_damaged(made), "damaged"),
    ):
        found = extract(lost, LIMIT)
        assert found.text.splitlines() == ["One.", "Three."]
        ((number, said),) = found.lost
        assert (number, f"is {reason}" in said) == (2, True)


def _damaged(made):
    at = made.index(b"page 1.xhtml") + 20
    return made[:at] + b"\xff" * 8 + made[at + 8 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no zip archive"),
        (zipped({"mimetype": "application/epub+zip"}), "it is no e-book"),
        (zipped({"META-INF/container.xml": "<container/>"}), "it is no e-book"),
        (
            zipped({"META-INF/container.xml": '<c><rootfile full-path="a.opf"/></c>'}),
            r"part a\.opf is missing",
        ),
        (book("<p>x</p>", extra={"OEBPS/book.opf": MISSING}), r"part OEBPS/gone\.xhtml is missing"),
        (book("<img src='a.png'/>"), "no text is found in the e-book"),
        (book("<p>" + "word " * 2000 + "</p>"), "unpacked it has more than"),
        (book("<p>x</p>")[:300], "no zip archive"),
    ],
)
def test_what_is_no_book_says_so(data, reason):
    with pytest.raises(NoDocumentError, match=reason):
        extract(data, 4096)


def test_entities_of_a_page_are_neither_fetched_nor_expanded(tmp_path):
    (tmp_path / "secret").write_text("a secret")
    head = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{tmp_path}/secret"><!ENTITY y "yyy">]>'
    assert "secret" not in "".join(lines("<p>&x;, &y;, open.</p>", head=head))


def test_deep_nesting_is_a_text_or_a_reason():
    with contextlib.suppress(NoDocumentError):
        assert lines("<div>" * 5000 + "deep" + "</div>" * 5000)
    assert lines("<div>" * 200 + "deep" + "</div>" * 200) == ["deep"]


WRITTEN = book("<h1>One</h1><p>It was dark.</p>", "<p>It was light.</p>", title="Days")


@settings(max_examples=100)
@given(st.integers(0, 40_000), st.binary(min_size=1, max_size=30), st.booleans())
def test_damage_anywhere_gives_a_text_or_a_reason(at, damage, cut):
    at %= len(WRITTEN)
    broken = WRITTEN[:at] if cut else WRITTEN[:at] + damage + WRITTEN[at + len(damage) :]
    with contextlib.suppress(NoDocumentError):
        assert extract(broken, LIMIT).text


@settings(max_examples=60)
@given(st.text(max_size=100))
def test_any_text_in_a_page_is_read_or_refused(text):
    with contextlib.suppress(NoDocumentError):
        extract(book(f"<p>{text}</p>"), LIMIT)
