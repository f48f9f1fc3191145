"""The text of e-books (.epub): their pages in the order in which they are read.

Decisions: docs/decisions/readers-and-damage.md.
"""

import html.entities
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from lxml import etree
from lxml import html as lxml_html

from base.foreign import Refused, ask
from pipelines.readers.documents.extracted import (
    Extracted,
    LostPartError,
    NoDocumentError,
    Paragraphs,
    described,
)
from pipelines.readers.documents.package import Element, Package, attribute, beside, local, parser

if TYPE_CHECKING:
    from datastore.schema import Scalar

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
# Fonts alone are scrambled by these: the text is open.
_OF_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_SAID = {"title": "title", "creator": "author", "language": "language", "date": "date"}
_UNSEEN = frozenset(("head", "script", "style", "template", "noscript", "svg", "audio", "video", "iframe"))
_INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|nobr|q|rb|ruby|s|samp|"
    "small|span|strike|strong|sub|sup|time|tt|u|var|wbr"
)
_CELLS = frozenset(("td", "th"))
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = (b"amp", b"lt", b"gt", b"quot", b"apos")


def extract(data: bytes, limit: int) -> Extracted:
    """The text of all pages of the spine, with metadata `title`, `author`, `language` and `date`.

    Raises NoDocumentError.
    """
    package = Package(data, limit)
    opf = _opf(package)
    root = package.xml(opf)
    pages = list(_spine(root, opf))
    if package.has(_ENCRYPTION) and _encrypted(package.xml(_ENCRYPTION)) & set(pages):
        raise NoDocumentError("the e-book is encrypted (DRM)")
    paragraphs = Paragraphs(limit)
    for number, page in enumerate(pages, 1):
        try:
            content = _page(package, page)
        except LostPartError as error:
            paragraphs.lose(number, str(error))
            continue
        for block in blocks(content):
            paragraphs.add(block)
    return paragraphs.extracted(_metadata(root), "no text is found in the e-book: it may hold images alone")


def _opf(package: Package) -> str:
    """The part that lists the others."""
    if package.has(_CONTAINER):
        for one in package.xml(_CONTAINER).iter("{*}rootfile"):
            if path := attribute(one, "full-path"):
                return beside("", path)
    raise NoDocumentError("it is no e-book: META-INF/container.xml names no package")


def _metadata(root: Element) -> "dict[str, Scalar]":
    said = [(_SAID.get(local(one)), one.text) for part in root if local(part) == "metadata" for one in part]
    found = described((name, text) for name, text in said if name)
    if isinstance(found.get("date"), str):
        found["date"] = str(found["date"])[:10]
    return found


def _spine(root: Element, opf: str) -> Iterator[str]:
    """The pages in order; not the table of contents that the reader's program shows."""
    items = {attribute(one, "id"): one for one in root.iter("{*}item")}
    for one in root.iter("{*}itemref"):
        item = items.get(attribute(one, "idref"))
        if item is None or attribute(item, "media-type") not in _PAGES:
            continue
        if "nav" not in (attribute(item, "properties") or "").split():
            yield beside(opf, attribute(item, "href") or "")


def _encrypted(root: Element) -> set[str]:
    found = set()
    for data in root.iter("{*}EncryptedData"):
        methods = {attribute(one, "Algorithm") for one in data.iter("{*}EncryptionMethod")}
        if not methods & set(_OF_FONTS):
            found |= {beside("", attribute(one, "URI") or "") for one in data.iter("{*}CipherReference")}
    return found


def _page(package: Package, name: str) -> Element:
    """A page's root: of XHTML, or of what is none as HTML."""
    data = package.read(name)
    try:
        return ask(etree.fromstring, _ENTITY.sub(_number, data), parser())
    except Refused:
        pass
    try:
        return ask(partial(lxml_html.document_fromstring, ensure_head_body=True), data)
    except Refused as error:
        raise LostPartError(f"the page {name} cannot be read ({error})") from None


def _number(found: re.Match[bytes]) -> bytes:
    """An entity of HTML by its number: XML knows no names."""
    name = found[1]
    signs = None if name in _OF_XML else html.entities.html5.get(f"{name.decode()};")
    return "".join(f"&#{ord(sign)};" for sign in signs).encode() if signs else found[0]


def blocks(root: Element) -> Iterator[str]:
    """The paragraphs of a page, rows of tables as one each."""
    held: list[str] = []
    for piece in chain(_pieces(root), (None,)):
        if piece is not None:
            held.append(piece)
            continue
        text = " ".join("".join(held).split()).strip(" |")
        if text == "-":
            continue  # Of a list, with the paragraph to come.
        if text:
            yield text
        held = []


def _pieces(element: Element) -> Iterator[str | None]:
    """The text of an element in pieces; None is the end of a paragraph."""
    name = local(element).lower()
    if name in _UNSEEN or not name:
        return
    apart = name not in _CELLS and not _INLINE.fullmatch(name)
    if apart:
        yield None
    if name in _CELLS:
        yield " | "
    if name == "li":
        yield "- "
    yield element.text or ""
    for one in element:
        # Within a cell paragraphs are of one row.
        for piece in _pieces(one):
            yield " " if piece is None and name in _CELLS else piece
        yield one.tail or ""
    if apart:
        yield None
