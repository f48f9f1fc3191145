import pytest

from pipelines.readers.documents.extracted import LostPartError, NoDocumentError
from pipelines.readers.documents.package import Package, attribute, beside, local
from tests.pipelines.readers.office import zipped


def test_parts_are_found_by_name_whatever_its_case():
    package = Package(zipped({"Word/Document.xml": "<a x:b='1' xmlns:x='y'><x:c/></a>"}), 1000)
    assert package.has("word/document.xml")
    root = package.xml("word/document.xml")
    assert (attribute(root, "b"), attribute(root, "d"), local(root[0])) == ("1", None, "c")


def test_all_parts_together_are_bounded():
    package = Package(zipped({"a": "x" * 600, "b": "x" * 600}), 1000)
    assert len(package.read("a")) == 600
    with pytest.raises(NoDocumentError, match="unpacked it has more than the 1,000 bytes"):
        package.read("b")


def test_a_size_that_is_a_lie_gives_no_more_than_it_says():
    """The directory says 10 bytes of what unpacks to a million."""
    made = zipped({"a": "x" * 1_000_000})
    lie = made.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != made
    with pytest.raises(LostPartError, match="damaged"):
        Package(lie, 1000).read("a")


def test_an_encrypted_part_says_so():
    made = bytearray(zipped({"a": "x"}))
    made[made.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(NoDocumentError, match="it is encrypted: remove its password"):
        Package(bytes(made), 1000).read("a")


@pytest.mark.parametrize(
    ("name", "target", "part"),
    [
        ("word/document.xml", "footnotes.xml", "word/footnotes.xml"),
        ("word/document.xml", "/word/notes.xml", "word/notes.xml"),
        ("OEBPS/book.opf", "../a%20b.xhtml#top", "a b.xhtml"),
        ("", "word/document.xml", "word/document.xml"),
        ("a/b.opf", "../../../etc/passwd", "etc/passwd"),
    ],
)
def test_links_are_of_the_package(name, target, part):
    assert beside(name, target) == part
