"""Web archives (ISO 28500): the pages of WARC files and the extracted text of WET files.

A `conversion` record of plain text is a document, and so is a `response` record of an HTML page with status
200, by its main text. Its id is its WARC-Record-ID; the address would be none, since pages are visited again.
Other records are counted by their kind. One file is one task: no bytes in it tell for certain that a record
begins, for an archive may lie in an archive.

Where records begin and end is found here and not by warcio, so that damage costs one record: in a compressed
file the damaged member, in a plain one the record whose length is wrong. warcio parses what is in a record.
A record that is seen to stand in a damaged member is not read; of a long one, those read before are doubtful.

Decisions: docs/decisions/readers-and-damage.md.
"""

import io
import logging
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from base.foreign import Refused, ask
from datastore.schema import Document
from pipelines.readers.bytes.codings import TooLarge
from pipelines.readers.bytes.decompress import Damage, Decompressed, open_frames
from pipelines.readers.bytes.endings import compression
from pipelines.readers.bytes.files import open_file
from pipelines.readers.bytes.scanner import Scanner
from pipelines.readers.damage import Break, reading_on
from pipelines.readers.doubts import Doubts
from pipelines.readers.limits import more_than
from pipelines.readers.records import Intake, Record, Skipped, Unreadable
from pipelines.readers.segment import Segment
from pipelines.readers.web.html import text_of_html
from pipelines.readers.web.http import NoResponse, Response
from pipelines.readers.web.warc_records import RECORD_END, START, Ahead, BadRecord, go_to_next, take

_TARGET = re.compile(rb"^WARC-Target-URI[ \t]*:", re.IGNORECASE | re.MULTILINE)
_HTML = ("text/html", "application/xhtml+xml")
_SCHEMES = ("http:", "https:")
_KINDS = ("warcinfo", "resource", "request", "metadata", "revisit", "continuation")

# What warcio mends in a header is no news to who builds a datastore.
logging.getLogger("warcio.recordloader").setLevel(logging.ERROR)


# A record's bytes, and where in the stream they lie: from where on, and how many.
_Block = tuple[bytes | BadRecord, int, int]


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """Every record of an archive, documents or not."""
    doubts = Doubts(segment.name, intake)
    for number, (block, at, length) in enumerate(_blocks(segment, doubts), 1):
        try:
            if isinstance(block, BadRecord):
                raise block
            record = _record(block, segment.name, number, intake)
        except BadRecord as error:
            record = Unreadable(segment.name, number, str(error))
        doubts.add(number, at, length, record)
        yield record


def _blocks(segment: Segment, doubts: Doubts) -> Iterator[_Block]:
    """Every record, reading on behind compressed data that is damaged."""
    codec = compression(segment.path)

    def blocks_from(frame: int) -> Iterator[_Block]:
        with _open(segment.path, codec, frame) as stream, Ahead(segment.path, codec, stream) as ahead:
            doubts.begin(stream)
            scanner = Scanner(stream)
            if frame and scanner.peek(len(START)) != START:
                go_to_next(scanner)
            yield from _scan(scanner, ahead, doubts)

    bad_at = -1  # Where the last record begins, if it is bad.
    for found in reading_on(segment, doubts, blocks_from):
        if not isinstance(found, Break):
            block, at, _ = found
            bad_at = at if isinstance(block, BadRecord) else -1
            yield found
            continue
        # What the damage makes of a record may have been found bad just before: it counts once.
        if not isinstance(found.error, Damage) or bad_at < found.error.start:
            yield BadRecord(found.reason("the archive is damaged here")), 0, 0
        bad_at = -1


def _open(path: str, codec: str | None, begin: int) -> BinaryIO | Decompressed:
    """Open a file for reading raw, decompressed from the frame at `begin` on if it has a codec."""
    if codec is not None:
        return open_frames(path, codec, begin)
    return open_file(path, 0)


def _scan(scanner: Scanner, ahead: Ahead, doubts: Doubts) -> Iterator[_Block]:
    """Every record of a stream from here on."""
    while _to_start(scanner):
        at = scanner.position
        try:
            block = take(scanner, ahead, doubts.intake.max_record_bytes)
            yield block, at, len(block)
        except BadRecord as error:
            # Records may lie in what it takes for its own: the next is sought from its first line on.
            yield error, at, scanner.position - at
            if scanner.position == at:
                go_to_next(scanner)
        doubts.intake.consumed += scanner.position - at


def _to_start(scanner: Scanner) -> bool:
    """Pass over the empty lines between records; false at the end."""
    while scanner.peek(1) in (b"\r", b"\n"):
        scanner.skip(1)
    return bool(scanner.peek(1))


def _record(block: bytes, file: str, number: int, intake: Intake) -> Record:
    found = _parsed(block)
    header = found.rec_headers.get_header
    if found.rec_type == "conversion":
        text = _text(found)
    elif found.rec_type == "response":
        text = _page(found, intake.max_record_bytes)
    else:
        return Skipped(found.rec_type if found.rec_type in _KINDS else "other_type")
    if isinstance(text, Skipped):
        return text
    known = {"url": header("WARC-Target-URI"), "date": header("WARC-Date")}
    metadata = {name: value for name, value in known.items() if value}
    doc_id = (header("WARC-Record-ID") or "").strip("<>") or f"{file}:{number}"
    return intake.document(Document(doc_id, "", text, metadata), file, number)


def _parsed(block: bytes) -> Any:
    """The record as warcio reads it, without what is HTTP in it. Raises BadRecord."""
    from warcio.recordloader import ArcWarcRecordLoader

    if not _TARGET.search(block, 0, block.find(RECORD_END)):
        block = block.replace(b"\r\n", b"\r\nWARC-Target-URI: \r\n", 1)  # warcio fails without it.
    try:
        parse = ArcWarcRecordLoader().parse_record_stream
        return ask(parse, io.BytesIO(block), known_format="warc", no_record_parse=True)
    except Refused as error:
        raise BadRecord(f"it cannot be parsed ({error})") from None


def _text(record: Any) -> str | Skipped:
    """The text of a WET file's record."""
    if _media_type(record.content_type) != "text/plain":
        return Skipped("content_type")
    data: bytes = record.raw_stream.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadRecord(f"invalid UTF-8 at byte {error.start} of its text") from None


def _page(record: Any, limit: int) -> str | Skipped:
    """The text of an HTML page."""
    block = record.raw_stream.read()
    address = record.rec_headers.get_header("WARC-Target-URI") or ""
    if not block or not address.startswith(_SCHEMES):
        return Skipped("not_http")
    try:
        response = Response.parse(block)
    except NoResponse as error:
        raise BadRecord(f"it cannot be parsed ({error})") from None
    if response.status != 200:
        return Skipped("status")
    if _media_type(response.content_type) not in _HTML:
        return Skipped("content_type")
    text = _text_of(response, limit)
    if not text:
        raise BadRecord("no text is found in the HTML")
    return text


def _text_of(response: Response, limit: int) -> str:
    try:
        page = response.content(limit)
    except TooLarge:
        raise BadRecord(more_than("the page unpacks to", limit)) from None
    except Refused as error:
        raise BadRecord(f"the page cannot be unpacked ({error})") from None
    try:
        return text_of_html(page, response.content_type)
    except Refused as error:
        raise BadRecord(f"the HTML cannot be read ({error})") from None


def _media_type(value: str | None) -> str:
    """The media type of a Content-Type, in small letters; "" if it states none."""
    return (value or "").partition(";")[0].strip().lower()
