"""The text of PDF files, as PDFium reads it: page by page, lines put together to paragraphs.

A page holds glyphs at places: what makes a line, and which line is next, PDFium finds. Which lines make a
paragraph is found here, by their lengths, since sentences must come out whole.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import pypdfium2 as pdfium

from base.foreign import Refused, ask
from pipelines.readers.documents.extracted import (
    Extracted,
    NoDocumentError,
    Paragraphs,
    clean,
    described,
    too_long,
)

if TYPE_CHECKING:
    from datastore.schema import Scalar

# What PDFium makes of a hyphen at a line's end; the line goes on behind it.
_HYPHEN = re.compile("[\ufffe\u00ad](?:\r?\n)?")
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_LEADERS = re.compile(r"(?: ?\.){5,}")
_BULLET = re.compile(r"[•▪◦‣●○■·*–—-] ")
_ENDS = (".", "!", "?", ":", ";", "{", "}", "。", "！", "？")
_ENTRY = re.compile(r" \.\.\. \S+$")  # Of a table of contents.
_NO_LETTERS = re.compile(r"[\W\d_]+")
# Chinese and Japanese are written without spaces.
_NO_SPACES = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]{2}")
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
# A line is full if it has this share of the longest of its neighbours'.
_FULL = 0.7
_NEIGHBOURS = 3


def extract(data: bytes, limit: int) -> Extracted:
    """The text of all pages, with metadata `title`, `author`, `date` and `pages`.

    Raises NoDocumentError for a file that wants a password, or holds no text.
    """
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise NoDocumentError(_refused(error)) from None
    pages = len(document)
    paragraphs = Paragraphs(limit)
    for paragraph in _joined(list(_lines(document, limit, paragraphs))):
        paragraphs.add(paragraph)
    return paragraphs.extracted(
        _metadata(document) | {"pages": pages},
        f"no text is found on its {pages:,} pages: if they are scanned, have their text recognized (OCR)",
    )


def _refused(error: Exception) -> str:
    if "assword" in str(error) or "ecurity" in str(error):
        return "the PDF is encrypted: remove its password"
    return f"the PDF cannot be read ({' '.join(str(error).split())})"


def _metadata(document: pdfium.PdfDocument) -> "dict[str, Scalar]":
    said = ask(document.get_metadata_dict, skip_empty=True)
    found = described([("title", said.get("Title")), ("author", said.get("Author"))])
    if dated := _DATE.match(said.get("CreationDate", "")):
        found["date"] = "-".join(filter(None, dated.groups()))
    return found


def _lines(document: pdfium.PdfDocument, limit: int, paragraphs: Paragraphs) -> Iterator[str]:
    """The lines of all pages, without their numbers and what is repeated on top or at the bottom of each."""
    before: list[tuple[str, str]] = []
    left = limit
    for number in range(len(document)):
        try:
            text = _page(document, number)
        except Refused as error:
            paragraphs.lose(number + 1, f"page {number + 1:,} cannot be read ({error})")
            continue
        left -= len(text)
        if left < 0:
            raise NoDocumentError(too_long(limit))
        lines = [line for line in map(clean, text.splitlines()) if line]
        if not lines:
            continue
        ends = _letters(lines[0]), _letters(lines[-1])
        # Of books left and right pages differ, so the last but one counts too.
        first = not ends[0] or any(ends[0] == other[0] for other in before[-2:])
        last = len(lines) > 1 and (not ends[1] or any(ends[1] == other[1] for other in before[-2:]))
        before = [*before[-1:], ends]
        yield from lines[first : len(lines) - last]


def _page(document: pdfium.PdfDocument, number: int) -> str:
    page = ask(document.__getitem__, number)
    text = ask(page.get_textpage)
    found = str(ask(text.get_text_range))
    text.close()
    page.close()
    return _LEADERS.sub(" ...", _HYPHEN.sub("", found).translate(_LIGATURES))


def _letters(line: str) -> str:
    """What a line says apart from numbers: empty for a page's number."""
    return _NO_LETTERS.sub(" ", line).strip()


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """Lines put together to paragraphs."""
    held = ""
    full = [len(line) >= _FULL * max(map(len, _around(lines, at))) for at, line in enumerate(lines)]
    for number, (line, following) in enumerate(pairwise([*lines, ""])):
        held += line
        if not following or _ends(line, following, full[number], full[number + 1]):
            yield held
            held = ""
        elif not _NO_SPACES.fullmatch(line[-1] + following[0]):
            held += " "


def _around(lines: Sequence[str], at: int) -> Sequence[str]:
    return lines[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS + 1]


def _ends(line: str, following: str, full: bool, following_full: bool) -> bool:
    """Whether a paragraph ends with a line: where in doubt, at a sentence's end."""
    if _BULLET.match(following) or _ENTRY.search(line):
        return True
    if line.endswith(_ENDS):
        return not (full and following_full)
    return not full and not line.endswith(",") and not following[0].islower()
