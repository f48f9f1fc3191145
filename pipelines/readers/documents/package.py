"""Zip archives of XML parts, as word processors and e-books are: opened with bounds, and read safely.

Decisions: docs/decisions/readers-and-damage.md.
"""

import io
import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import etree

from base.foreign import Refused, ask
from pipelines.readers.documents.extracted import LostPartError, NoDocumentError
from pipelines.readers.limits import more_than

Element = Any
# Office encrypts a file by wrapping it into an OLE file, which was also the format before 2007.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Package:
    """A file's parts by name, at most `limit` bytes of them unpacked."""

    def __init__(self, data: bytes, limit: int) -> None:
        """Raises NoDocumentError for what is no zip archive."""
        if data.startswith(_OLE):
            raise NoDocumentError(
                "it is encrypted or of an old version of Word: save it as .docx without a password"
            )
        self._limit, self._left = limit, limit
        try:
            self._zip: zipfile.ZipFile = ask(zipfile.ZipFile, io.BytesIO(data))
        except Refused as error:
            raise NoDocumentError(f"it is no zip archive, or a damaged one ({error})") from None
        self._names = {name.lower(): name for name in reversed(self._zip.namelist())}

    def read(self, name: str) -> bytes:
        """A part's bytes.

        Raises LostPartError if it is missing or damaged, NoDocumentError if it is encrypted or too large.
        """
        info = self._info(name)
        if info is None:
            raise LostPartError(f"the part {name} is missing")
        if info.flag_bits & 1:
            raise NoDocumentError("it is encrypted: remove its password")
        self._left -= info.file_size
        if self._left < 0:
            raise NoDocumentError(more_than("unpacked it has", self._limit))
        try:
            return bytes(ask(self._zip.read, info))  # Never more than `file_size`.
        except Refused as error:
            raise LostPartError(f"the part {name} is damaged ({error})") from None

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return self._info(name) is not None

    def _info(self, name: str) -> zipfile.ZipInfo | None:
        found = self._names.get(name.lower())
        return None if found is None else self._zip.getinfo(found)

    def xml(self, name: str) -> Element:
        """A part's root element. Raises LostPartError for what is no XML, or defines entities."""
        data = self.read(name)
        try:
            root = ask(etree.fromstring, data, parser())
        except Refused as error:
            raise LostPartError(f"the part {name} is no XML ({error})") from None
        if root is None or root.getroottree().docinfo.internalDTD is not None:
            raise LostPartError(f"the part {name} holds a document type, which such files do not")
        return root


def parser() -> etree.XMLParser:
    """For XML of strangers: nothing is fetched or expanded, and nesting and sizes stay bounded."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def local(element: Element) -> str:
    """An element's name without its namespace: strict and transitional files differ in these alone."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str | None:
    """An attribute's value, whatever its namespace."""
    return next((str(v) for key, v in element.attrib.items() if key.rpartition("}")[2] == name), None)


def beside(name: str, target: str) -> str:
    """The part that a link in another part points to."""
    path = unquote(urlsplit(target).path)
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(name), path)).lstrip("/")
