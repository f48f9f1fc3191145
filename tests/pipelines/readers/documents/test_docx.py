import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers.documents.docx import extract
from pipelines.readers.documents.extracted import NoDocumentError
from tests.pipelines.readers.office import W, word, word_of, zipped

LIMIT = 1 << 20
STRICT = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
    'Id="a" Type="http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument" '
    'Target="/word/document.xml"/></Relationships>'
)


def p(content):
    return f"<w:p>{content}</w:p>"


def r(text, properties=""):
    return f'<w:r>{properties}<w:t xml:space="preserve">{text}</w:t></w:r>'


def lines(body, **parts):
    return extract(word_of(body, **parts), LIMIT).text.splitlines()


def fill(document):
    document.core_properties.title, document.core_properties.author = "On bridges", "A. Mason"
    document.add_heading("The old bridge", 1)
    paragraph = document.add_paragraph("The old stone bridge was built in 1787 by ")
    paragraph.add_run("masons").bold = True
    paragraph.add_run(" of the valley.")
    document.add_paragraph("stone", style="List Bullet")
    document.add_paragraph("grain", style="List Number")
    table = document.add_table(2, 2)
    for at, text in enumerate(("Year", "Event", "1787", "It is\nbuilt")):
        table.cell(at // 2, at % 2).text = text
    document.add_paragraph("The end.")


WRITTEN = word(fill)


def test_paragraphs_headings_lists_and_tables_as_a_library_writes_them():
    found = extract(WRITTEN, LIMIT)
    assert found.text.splitlines() == [
        "The old bridge",
        "The old stone bridge was built in 1787 by masons of the valley.",
        "- stone",
        "- grain",
        "Year | Event",
        "1787 | It is built",
        "The end.",
    ]
    assert found.metadata == {"title": "On bridges", "author": "A. Mason", "date": "2013-12-23"}


def test_tracked_changes_are_read_as_accepted():
    body = (
        p(
            r("It was built ")
            + f"<w:del><w:r><w:delText>in 1778</w:delText></w:r></w:del><w:ins>{r('in 1787')}</w:ins>."
        )
        + p(f"<w:moveFrom>{r('Moved.')}</w:moveFrom>")
        + p(f"<w:moveTo>{r('Moved.')}</w:moveTo>")
        + "<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc>"
        + p(r("gone"))
        + "</w:tc></w:tr></w:tbl>"
    )
    assert lines(body) == ["It was built in 1787", "Moved."]


def test_notes_stand_behind_the_paragraph_that_refers_to_them():
    notes = "".join(
        f'<w:footnote w:id="{n}">{p(r(text))}</w:footnote>' for n, text in ((-1, "-"), (2, "A note."))
    )
    body = p(r("One.") + '<w:r><w:footnoteReference w:id="2"/></w:r>') + p(r("Two."))
    assert lines(body, footnotes=f"<w:footnotes {W}>{notes}</w:footnotes>") == ["One.", "A note.", "Two."]
    assert lines(body) == ["One.", "Two."]


def test_what_lies_in_controls_links_and_boxes_is_read_once():
    box = f"<w:txbxContent>{p(r('In a box.'))}</w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    body = (
        f"<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>{p(r('In a control.'))}</w:sdtContent></w:sdt>"
        + p(r("A ") + f"<w:hyperlink>{r('link')}</w:hyperlink>" + f"<w:smartTag>{r('.')}</w:smartTag>")
        + p(
            f"<w:r><mc:AlternateContent {mc}><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
            "</mc:AlternateContent></w:r>" + r("Beside it.")
        )
        + p("<w:r><w:instrText>PAGEREF x</w:instrText></w:r>" + r("12"))
        + p(r("hidden", "<w:rPr><w:vanish/></w:rPr>") + r("shown", '<w:rPr><w:vanish w:val="0"/></w:rPr>'))
        + p(r("a") + "<w:r><w:tab/></w:r>" + r("b") + "<w:r><w:br/></w:r>" + r("c"))
    )
    assert lines(body) == ["In a control.", "A link.", "Beside it.", "In a box.", "12", "shown", "a\tb", "c"]


def test_a_table_in_a_table_is_of_its_cell():
    def cell(content):
        return f"<w:tc>{content}</w:tc>"

    inner = "<w:tbl><w:tr>" + cell(p(r("c"))) + cell(p(r("d"))) + "</w:tr></w:tbl>"
    body = "<w:tbl><w:tblPr/><w:tr>" + cell(p(r("a"))) + cell(p(r("b")) + inner) + "</w:tr></w:tbl>"
    assert lines(body) == ["a | b c | d"]


def test_a_strict_file_is_read_as_a_transitional_one():
    body = f"<w:body>{p(r('Strict.'))}</w:body>"
    document = f'<w:document xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main">{body}</w:document>'
    assert extract(zipped({"word/document.xml": document, "_rels/.rels": STRICT}), LIMIT).text == "Strict."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no zip archive"),
        (b"PK\x03\x04 and no more", "no zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted or of an old version"),
        (zipped({"a.txt": "text"}), "no Word document"),
        (word_of(""), "no text is found"),
        (word_of("<w:p>"), "is no XML"),
        (word_of(p(r("word " * 1000))), "unpacked it has more than"),
        (WRITTEN[:2000], "no zip archive"),
    ],
)
def test_what_is_no_word_file_says_so(data, reason):
    with pytest.raises(NoDocumentError, match=reason):
        extract(data, 4096)


def test_entities_are_neither_fetched_nor_expanded(tmp_path):
    (tmp_path / "secret").write_text("a secret")
    bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "boom"}">' for n in range(12))
    for declared, used in ((f'<!ENTITY x SYSTEM "file://{tmp_path}/secret">', "&x;"), (bomb, "&e11;")):
        document = (
            f"<!DOCTYPE w:document [{declared}]><w:document {W}><w:body>{p(r(used))}</w:body></w:document>"
        )
        with pytest.raises(NoDocumentError, match=r"document type|is no XML"):
            extract(zipped({"word/document.xml": document, "_rels/.rels": STRICT}), LIMIT)


def test_a_part_that_unpacks_to_far_more_is_refused_before_it_is_unpacked():
    bomb = word_of(p(r("a" * (64 << 20))))
    assert len(bomb) < 1 << 17
    with pytest.raises(NoDocumentError, match="unpacked it has more than the 1,048,576 bytes"):
        extract(bomb, LIMIT)


def test_deep_nesting_is_a_reason():
    deep = word_of("<w:sdt><w:sdtContent>" * 2000 + p(r("x")) + "</w:sdtContent></w:sdt>" * 2000)
    with pytest.raises(NoDocumentError, match="is no XML"):
        extract(deep, LIMIT)
    below = word_of("<w:sdt>" * 200 + p(r("x")) + "</w:sdt>" * 200)
    assert extract(below, LIMIT).text == "x"


@settings(max_examples=60)
@given(st.integers(0, 40_000), st.binary(min_size=1, max_size=30), st.booleans())
def test_damage_anywhere_gives_a_text_or_a_reason(at, damage, cut):
    at %= len(WRITTEN)
    broken = WRITTEN[:at] if cut else WRITTEN[:at] + damage + WRITTEN[at + len(damage) :]
    with contextlib.suppress(NoDocumentError):
        assert extract(broken, LIMIT).text
