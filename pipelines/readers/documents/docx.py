"""The text of Word files (.docx), as it is once all tracked changes are accepted.

python-docx leaves out content controls, tracked insertions and notes; so the parts are walked here.

Decisions: docs/decisions/readers-and-damage.md.
"""

from collections.abc import Iterator

from pipelines.readers.documents.extracted import Extracted, NoDocumentError, Paragraphs, described
from pipelines.readers.documents.package import Element, Package, attribute, beside, local

# Deleted or moved away, properties, alternatives for old programs, codes of fields.
_UNSEEN = frozenset(
    ("del", "moveFrom", "delText", "instrText", "pPr", "tblPr", "trPr", "tcPr", "sdtPr", "sectPr", "Fallback")
)
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_SAID = {"title": "title", "creator": "author", "created": "date", "language": "language"}


def extract(data: bytes, limit: int) -> Extracted:
    """The paragraphs, tables row by row, and notes behind what refers to them; metadata of the properties.

    Raises NoDocumentError.
    """
    package = Package(data, limit)
    roots = _related(package, "")
    main = roots.get("officeDocument")
    if main is None:
        raise NoDocumentError("it holds no Word document")
    body = next((one for one in package.xml(main) if local(one) == "body"), None)
    if body is None:
        raise NoDocumentError("it holds no Word document")
    paragraphs = Paragraphs(limit)
    walk = _Walk(package, _related(package, main))
    for block in walk.blocks(body):
        paragraphs.add(block)
    said = described(_properties(package, roots.get("core-properties")))
    return paragraphs.extracted(said, "no text is found in the Word document")


def _related(package: Package, name: str) -> dict[str, str]:
    """Parts that a part refers to, by the kind of relation; of the package itself, if it has no name."""
    folder, _, file = name.rpartition("/")
    where = f"{folder}/_rels/{file}.rels".lstrip("/")
    if not package.has(where):
        return {}
    found: dict[str, str] = {}
    for one in package.xml(where):
        kind, target = attribute(one, "Type"), attribute(one, "Target")
        if kind and target and attribute(one, "TargetMode") != "External":
            found.setdefault(kind.rpartition("/")[2], beside(name, target))
    return found


def _properties(package: Package, name: str | None) -> Iterator[tuple[str, str | None]]:
    if name is None or not package.has(name):
        return
    for one in package.xml(name):
        if (said := _SAID.get(local(one))) is not None:
            text = one.text or ""
            yield said, text[:10] if said == "date" else text


class _Walk:
    """The blocks of a document, with the notes that they refer to."""

    def __init__(self, package: Package, parts: dict[str, str]) -> None:
        self._package, self._parts = package, parts
        self._notes: dict[str, dict[str | None, Element]] = {}
        self._referred: list[tuple[str, str | None]] = []

    def blocks(self, parent: Element) -> Iterator[str]:
        """Paragraphs and rows, and behind each its notes."""
        for element in parent:
            name = local(element)
            if name == "p":
                yield from self._paragraph(element)
            elif name == "tbl":
                yield from self._rows(element)
            elif name not in _UNSEEN:
                yield from self.blocks(element)  # Content controls and the like.
                continue
            yield from self._noted()

    def _rows(self, table: Element) -> Iterator[str]:
        for row in _inside(table, "tr"):
            cells = (" ".join(" ".join(self.blocks(cell)).split()) for cell in _inside(row, "tc"))
            yield " | ".join(filter(None, cells))

    def _paragraph(self, paragraph: Element) -> Iterator[str]:
        """A paragraph, and those of the text boxes that hang on it."""
        boxes: list[Element] = []
        text = "".join(self._text(paragraph, boxes))
        yield f"- {text.strip()}" if _listed(paragraph) and text.strip() else text
        for box in boxes:
            yield from self.blocks(box)

    def _text(self, element: Element, boxes: list[Element]) -> Iterator[str]:
        for one in element:
            name = local(one)
            if name == "t":
                yield one.text or ""
            elif name in _SIGNS:
                yield _SIGNS[name]
            elif name == "txbxContent":
                boxes.append(one)
            elif name in _NOTES:
                self._referred.append((_NOTES[name], attribute(one, "id")))
            elif name not in _UNSEEN and not (name == "r" and _hidden(one)):
                yield from self._text(one, boxes)

    def _noted(self) -> Iterator[str]:
        """The notes that were referred to since the last."""
        referred, self._referred = self._referred, []
        for kind, number in referred:
            if (note := self._of(kind).pop(number, None)) is not None:
                yield from self.blocks(note)

    def _of(self, kind: str) -> dict[str | None, Element]:
        if kind not in self._notes:
            part = self._parts.get(kind)
            found = self._package.xml(part) if part and self._package.has(part) else ()
            self._notes[kind] = {attribute(one, "id"): one for one in found}
        return self._notes[kind]


def _inside(element: Element, wanted: str) -> Iterator[Element]:
    """The rows of a table or cells of a row, in content controls too; none of a table within."""
    for one in element:
        name = local(one)
        if name == wanted:
            if not _deleted(one):
                yield one
        elif name not in _UNSEEN and name != "tbl":
            yield from _inside(one, wanted)


def _child(element: Element, *names: str) -> Element | None:
    """The element that is reached by these names, one within the other."""
    for name in names:
        element = next((one for one in element if local(one) == name), None)
        if element is None:
            return None
    return element


def _deleted(row: Element) -> bool:
    return _child(row, "trPr", "del") is not None


def _hidden(run: Element) -> bool:
    found = _child(run, "rPr", "vanish")
    return found is not None and attribute(found, "val") not in ("0", "false", "off")


def _listed(paragraph: Element) -> bool:
    style = _child(paragraph, "pPr", "pStyle")
    named = style is not None and (attribute(style, "val") or "").startswith("List")
    return named or _child(paragraph, "pPr", "numPr") is not None
