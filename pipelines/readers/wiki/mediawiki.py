"""Dumps of MediaWiki, Wikipedia's `pages-articles` above all: the articles as plain text.

A page of the main namespace is a document, its id the page's id, with metadata `title` and `date` (of its
last revision); redirects (by their tag or their text), pages of other namespaces and pages that are no
wikitext are counted. Pages are found as bytes between <page> and </page>, which nothing else in a dump can
spell: text is escaped. So a page costs memory for itself alone, and a bad one only itself.

A plain or bzip2 dump is cut at any byte: a page belongs to the range in which its first byte lies, or the
beginning of the bzip2 stream that holds this byte. One of a single bzip2 stream is one task in effect.

Decisions: docs/decisions/readers-and-damage.md, sources.md.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from xml.etree import ElementTree

from base.foreign import Refused, ask
from datastore.schema import Document
from pipelines.readers.bytes.decompress import Decompressed, next_frame, open_frames
from pipelines.readers.bytes.endings import compression
from pipelines.readers.bytes.files import open_file
from pipelines.readers.bytes.scanner import Scanner
from pipelines.readers.damage import Break, reading_on
from pipelines.readers.doubts import Doubts
from pipelines.readers.limits import more_than
from pipelines.readers.records import Intake, Record, Skipped, Unreadable, only_damage
from pipelines.readers.segment import Segment
from pipelines.readers.wiki.redirects import is_redirect
from pipelines.readers.wiki.wikitext import plain_text

_START, _END = b"<page>", b"</page>"
_HEADER_BYTES = 1 << 17
# The namespaces of files and categories, in the words of the wiki.
_NAMESPACE = re.compile(rb'<namespace key="(?:-2|6|14)"[^>]*>([^<]+)</namespace>')


@dataclass(frozen=True, slots=True)
class _Bad:
    """Why a page is unreadable."""

    reason: str


# A page's bytes, and where in the stream they lie: from where on, and how many.
_Page = tuple[bytes | _Bad, int, int]


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """Every page that begins in a segment, documents or not."""
    head = _head(segment.path)
    unseen = tuple(name.decode(errors="replace").lower() for name in _NAMESPACE.findall(head))
    # Pages are counted within a range only, so where it begins is part of the file's name.
    file = f"{segment.name}@{segment.begin}" if segment.begin else segment.name
    number, doubts = 0, Doubts(file, intake)
    for page, at, length in _pages(segment, doubts):
        number += 1
        if isinstance(page, _Bad):
            record: Record = Unreadable(file, number, page.reason)
        else:
            record = _record(page, file, number, intake, unseen)
        doubts.add(number, at, length, record)
        yield record
    if not number and not segment.begin and b"<mediawiki" not in head:
        yield Unreadable(file, 1, "no page is found: it is no MediaWiki dump in UTF-8")


def _head(path: str) -> bytes:
    """The beginning of a dump, which says what the wiki calls its files and categories."""
    try:
        with open_file(path, 0, _HEADER_BYTES) as raw:
            codec = compression(path)
            return Scanner(Decompressed(raw, codec) if codec else raw).peek(_HEADER_BYTES)
    except OSError as error:
        only_damage(error, path)
        return b""


class _Plain:
    """An uncompressed file from `begin` on; `limit` is where `end` lies behind that."""

    def __init__(self, path: str, begin: int, end: int) -> None:
        raw = open_file(path, 0)
        raw.seek(begin)
        self.read, self.close = raw.read, raw.close
        self.limit = end - begin if end >= 0 else None


def _open(path: str, begin: int, end: int) -> Decompressed | _Plain:
    codec = compression(path)
    return _Plain(path, begin, end) if codec is None else open_frames(path, codec, begin, end)


def _pages(segment: Segment, doubts: Doubts) -> Iterator[_Page]:
    """Every page, reading on behind compressed data that is damaged."""
    path, codec = segment.path, compression(segment.path)
    begin: int | None = segment.begin
    if codec is not None and begin:
        begin = next_frame(path, codec, begin, segment.end)
    if begin is None:
        return

    def pages_from(frame: int) -> Iterator[_Page]:
        with closing(_open(path, frame, segment.end)) as stream:
            doubts.begin(stream)
            yield from _scan(stream, doubts.intake)

    for found in reading_on(segment, doubts, pages_from, begin):
        yield (_Bad(found.reason("the dump is damaged here")), 0, 0) if isinstance(found, Break) else found


def _scan(stream: Decompressed | _Plain, intake: Intake) -> Iterator[_Page]:
    scanner, passed = Scanner(stream), 0
    while scanner.skip_to(_START) and (stream.limit is None or scanner.position < stream.limit):
        at = scanner.position
        page = _page(scanner, intake.max_record_bytes)
        yield page, at, scanner.position - at
        intake.consumed += scanner.position - passed
        passed = scanner.position


def _page(scanner: Scanner, limit: int) -> bytes | _Bad:
    """Take a page, or of a bad one what no other page lies in."""
    size = scanner.find(_END, limit)
    if size is None:
        ended = len(scanner.peek(limit)) < limit
        scanner.skip(len(_START))
        return _Bad("the dump ends in the middle of the page" if ended else more_than("the page has", limit))
    inner = scanner.peek(size).find(_START, len(_START))
    if inner >= 0:
        scanner.skip(inner)
        return _Bad("the page does not end before another begins")
    return scanner.take(size + len(_END))


def _record(page: bytes, file: str, number: int, intake: Intake, unseen: tuple[str, ...]) -> Record:
    try:
        tree = ask(ElementTree.fromstring, page)
    except Refused as error:
        return Unreadable(file, number, f"the page is no valid XML ({error})")
    if tree.findtext("ns", "0") != "0":
        return Skipped("namespace")
    if tree.find("redirect") is not None:
        return Skipped("redirect")
    revision, page_id = tree.find("revision[last()]"), tree.findtext("id")
    if revision is None or not page_id:
        return Unreadable(file, number, "the page has no id or no revision")
    if revision.findtext("model", "wikitext") != "wikitext":
        return Skipped("model")
    wikitext = revision.findtext("text") or ""
    if is_redirect(wikitext):
        return Skipped("redirect")
    try:
        text = plain_text(wikitext, unseen)
    except Refused as error:
        return Unreadable(file, number, f"its wikitext cannot be parsed ({error})")
    known = {"title": tree.findtext("title"), "date": revision.findtext("timestamp")}
    metadata = {name: value for name, value in known.items() if value}
    return intake.document(Document(page_id, "", text, metadata), file, number)
