"""Where the records of a web archive begin and end.

A record is as long as its header says, if one may end there; if not, it alone is bad, and the next one is
sought from its first line on. Whether one that is too long to hold ends where it says is looked up ahead:
with a length that is wrong, all that follows would be passed over.

Decisions: docs/decisions/readers-and-damage.md.
"""

import base64
import hashlib
import re
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO

from pipelines.readers.bytes.decompress import Damage, Decompressed, open_frames
from pipelines.readers.bytes.files import open_short, size
from pipelines.readers.bytes.scanner import Scanner
from pipelines.readers.limits import too_large

START, RECORD_END = b"WARC/", b"\r\n\r\n"
_HEADER_BYTES = 1 << 16
# What is held of any record, to be looked at.
_HELD = 1 << 22
# What follows a record: two line ends, and the first line of another one.
_BEHIND = 32
_FIRST_LINE = re.compile(rb"[\r\n]*(?:WARC/\d\.\d+[ \t]*\r?\n|\Z)")
# A header's first line, and a field within the next few: one of them may be damaged.
_HEADER = re.compile(
    rb"\nWARC/\d\.\d+[ \t]*\r?\n(?:(?!WARC/)[^\r\n][^\n]*\n){0,3}?(?:WARC|Content)-[a-z-]+[ \t]*:",
    re.IGNORECASE,
)
_DIGEST = re.compile(
    rb"^WARC-Block-Digest[ \t]*:[ \t]*([a-z0-9-]+):([a-z0-9=]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
# More digits than any file has bytes.
_MOST_DIGITS = 18


class BadRecord(Exception):
    """Why a record is unreadable."""


class Ahead:
    """Looks at what lies far ahead in an archive, by a stream of its own, so that the first need not go back.

    Places are those of the first stream. The second goes forward as well, as long as it is asked to.
    """

    def __init__(self, path: str, codec: str | None, first: Decompressed | BinaryIO) -> None:
        self._path, self._codec, self._first = path, codec, first
        self._scanner: Scanner | None = None
        self._opened: Decompressed | None = None
        self._begin = 0
        self._length: int | None = None

    def look(self, at: int, most: int) -> bytes | None:
        """The bytes at a place, fewer at the end; None if it lies behind that. Raises Damage."""
        if self._codec is not None and isinstance(self._first, Decompressed):
            return self._decompressed(at, most, self._codec, self._first)
        if at > size(self._path):
            return None
        with open_short(self._path) as raw:
            raw.seek(at)
            return raw.read(most)

    def _decompressed(self, at: int, most: int, codec: str, first: Decompressed) -> bytes | None:
        if self._length is not None and at > self._length:
            return None
        scanner = self._scanner_for(at, codec, first)
        left = at - self._begin - scanner.position
        if scanner.skip(left) < left:
            self._length = self._begin + scanner.position
            return None
        return scanner.peek(most)

    def _scanner_for(self, at: int, codec: str, first: Decompressed) -> Scanner:
        """A scanner at or before a place: the one there is, or one from the frame on that the first is in."""
        place, begin = first.frame
        if self._scanner is None or not begin <= self._begin + self._scanner.position <= at:
            self.close()
            self._opened = open_frames(self._path, codec, place)
            self._scanner, self._begin = Scanner(self._opened), begin
        return self._scanner

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def take(scanner: Scanner, ahead: Ahead, limit: int) -> bytes:
    """Take a record, header and content. Raises BadRecord, having taken nothing, or what is too long."""
    if scanner.peek(len(START)) != START:
        raise BadRecord("no WARC record begins here")
    header = scanner.find(RECORD_END, _HEADER_BYTES)
    if header is None:
        raise BadRecord("its header does not end")
    length = header + len(RECORD_END) + _content_length(scanner.peek(header))
    is_held = length <= max(limit, _HELD)
    behind = _near(scanner, length) if is_held else _far(scanner, ahead, length)
    if behind is None:
        raise BadRecord("the archive ends in the middle of the record")
    sure = _FIRST_LINE.match(behind) is not None
    # What is passed over may hold records: then no damage behind it is taken for granted.
    if not sure and (length > limit or not _may_follow(behind)):
        raise BadRecord("its Content-Length is wrong: no record begins behind it")
    block = scanner.peek(length) if is_held else b""
    if is_held and _is_other(block, header + len(RECORD_END), sure):
        raise BadRecord("its Content-Length is wrong: its content has another digest")
    scanner.skip(length)
    if length > limit:
        raise BadRecord(too_large("the record", length, limit))
    return block


def go_to_next(scanner: Scanner) -> None:
    """Go to the line before the next record that begins behind the first byte here, or to the end."""
    scanner.skip(1)
    while scanner.skip_to(b"\n" + START) and not _is_header(scanner):
        scanner.skip(1)


def _is_header(scanner: Scanner) -> bool:
    """Whether a record begins in the next line; before damage what is held tells."""
    if not scanner.starts(_HEADER):
        with suppress(Damage):
            scanner.holds(_HEADER_BYTES)
    return scanner.starts(_HEADER)


def _content_length(header: bytes) -> int:
    for line in header.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            digits = value.strip().lstrip(b"0") or b"0"
            return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS
    raise BadRecord("its header states no Content-Length")


def _near(scanner: Scanner, length: int) -> bytes | None:
    """What follows a record that can be held; None if the archive is shorter."""
    try:
        if not scanner.holds(length):
            return None
    except Damage as error:
        if error.start > scanner.position and scanner.finds(_HEADER):
            raise BadRecord("its Content-Length is wrong: another record begins in it") from None
        raise
    try:
        return scanner.peek(_BEHIND, length)
    except Damage as error:
        # The damage of the next member is no fault of this record, that of its own is.
        if error.start < scanner.position + length:
            raise
        return b""


def _far(scanner: Scanner, ahead: Ahead, length: int) -> bytes | None:
    """What follows a record that is not held; None if the archive is shorter."""
    try:
        return ahead.look(scanner.position + length, _BEHIND)
    except Damage:
        # Before the damage there may be other records; whoever reads on from the first line comes to it.
        raise BadRecord("its Content-Length is wrong, or the archive is damaged before its end") from None


def _may_follow(behind: bytes) -> bool:
    """Whether a record may end before some bytes: two line ends, or another one, whatever its version."""
    return behind.startswith(RECORD_END) or START.startswith(behind.lstrip(b"\r\n")[: len(START)])


def _is_other(block: bytes, begin: int, sure: bool) -> bool:
    """Whether a record's content, from `begin` on, has another digest than its header states.

    It is asked only where its end is not sure, as in front of damage, or where another archive may lie in it.
    """
    if sure and block.find(RECORD_END + START, begin) < 0:
        return False
    stated = _DIGEST.search(block, 0, begin)
    algorithm = stated[1].decode().lower().replace("-", "") if stated else ""
    if stated is None or algorithm not in _ALGORITHMS:
        return False
    digest = hashlib.new(algorithm, block[begin:], usedforsecurity=False).digest()
    return stated[2].rstrip(b"=").upper() not in (
        base64.b32encode(digest).rstrip(b"="),
        digest.hex().upper().encode(),
    )
