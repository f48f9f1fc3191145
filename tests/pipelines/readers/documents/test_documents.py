from datastore.schema import Document
from pipelines.readers.records import Unreadable
from tests.pipelines.readers.office import book, pdf, word
from tests.pipelines.readers.reading import read


def test_a_file_is_a_document_called_by_its_name(tmp_path):
    info = "/Title (On bridges)"
    for name, data in (
        ("a.pdf", pdf(["It stands."], info=info)),
        ("a.docx", word(lambda document: document.add_paragraph("It stands."))),
        ("a.epub", book("<p>It stands.</p>", title="On bridges")),
    ):
        (tmp_path / name).write_bytes(data)
        (found,) = read(tmp_path / name, kind=name[2:])
        assert (found.id, found.text) == (name, "It stands.")
        assert name == "a.docx" or found.metadata["title"] == "On bridges"


def test_what_cannot_be_read_is_listed_with_the_reason(tmp_path):
    for name, data, reason in (
        ("locked.pdf", pdf(["x"], password="secret"), "is encrypted"),
        ("scan.pdf", pdf(None), "no text is found on its 1 pages"),
        ("cut.docx", word(lambda document: None)[:900], "no zip archive"),
        ("empty.epub", b"", "no zip archive"),
        ("large.pdf", b"%PDF" + bytes(5000), "max_record_bytes allows 4,096"),
    ):
        (tmp_path / name).write_bytes(data)
        (found,) = read(tmp_path / name, kind=name.rpartition(".")[2], limit=4096)
        assert (type(found), found.file, found.record) == (Unreadable, name, 1)
        assert reason in found.reason


def test_a_lost_page_is_listed_beside_the_document(tmp_path):
    made = book("<p>One.</p>", "<p>Two.</p>", "<p>Three.</p>").replace(b"page 1.xhtml", b"page 9.xhtml")
    (tmp_path / "a.epub").write_bytes(made)
    lost, found = read(tmp_path / "a.epub", kind="epub")
    assert (lost.record, lost.reason) == (2, "the part OEBPS/page 1.xhtml is missing")
    assert isinstance(found, Document)
    assert found.text == "One.\nThree."
