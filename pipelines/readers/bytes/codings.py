"""The codings of HTTP bodies undone: gzip, deflate, brotli and zstd, one behind the other, in bounded memory.

Archives hold bodies as they came over the wire, and unpacked ones beneath headers that still say they are
packed; servers pack what is packed already. So a body says by its first bytes what it is, where it can.

Decisions: docs/decisions/readers-and-damage.md.
"""

import codecs
import io
import re
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence

from base.foreign import Refused, ask

_PIECE = 1 << 16
# What a zstd frame may make its reader hold: `zstd` itself takes no more unless it is told to.
_WINDOW = 1 << 27
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Packed bytes are of all kinds; no text holds these.
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_MARKUP = re.compile(rb"\s*<")
_LOOKED_AT = 1024


class TooLarge(Exception):
    """A body unpacks to more than it may."""


def unpacked(body: bytes, codings: Sequence[str], limit: int) -> bytes:
    """A body without its codings, which are named in the order in which they were applied.

    Text that a coding does not fit stays as it is; of what breaks off or is damaged comes what lies before.
    Raises TooLarge if more than `limit` bytes come out of any coding, Refused if nothing can be unpacked.
    """
    for coding in (*reversed(codings), ""):
        pieces = _codec(body, coding)
        if pieces is not None:
            body = _whole(pieces, body, limit)
    if codings and not _is_text(body):
        raise Refused(f"the codings {', '.join(codings)[:80]!r} do not lead to text")
    return body


def _codec(body: bytes, coding: str) -> Callable[[bytes], Iterator[bytes]] | None:
    """What unpacks a body: told by its first bytes, or else by the coding that is stated."""
    if body.startswith(_GZIP):
        return _gzip
    if body.startswith(_ZSTD):
        return _zstd
    return {"br": _brotli, "deflate": _deflate}.get(coding)


def _whole(pieces: Callable[[bytes], Iterator[bytes]], body: bytes, limit: int) -> bytes:
    found = bytearray()
    try:
        for piece in pieces(body):
            found += piece
            if len(found) > limit:
                raise TooLarge
    except Refused:
        if _is_text(body):
            return body
        if not found:
            raise
    return bytes(found)


def _is_text(body: bytes) -> bool:
    """Whether a body looks like text that is not packed."""
    known = body.startswith(_MARKS) or _MARKUP.match(body)
    return bool(known or not _NO_TEXT.search(body, 0, _LOOKED_AT))


def _gzip(data: bytes) -> Iterator[bytes]:
    """The members of a gzip body; what is none behind them is left out."""
    at = 0
    while data.startswith(_GZIP, at):
        at = yield from _inflated(data, at, 31)


def _deflate(data: bytes) -> Iterator[bytes]:
    """As HTTP says, in zlib's frame, or without it, as some servers took it."""
    framed = data[:1] and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
    yield from _inflated(data, 0, 15 if framed else -15)


def _inflated(data: bytes, at: int, bits: int) -> Generator[bytes, None, int]:
    """What the deflated stream at a place holds, in pieces; returns where it ends."""
    stream = zlib.decompressobj(bits)
    while at < len(data) and not stream.eof:
        block = data[at : at + _PIECE]
        at += len(block)
        while not stream.eof:
            piece = ask(stream.decompress, block, _PIECE)
            yield piece
            block = stream.unconsumed_tail
            if not block and len(piece) < _PIECE:
                break
    return at - len(stream.unused_data)


def _zstd(data: bytes) -> Iterator[bytes]:
    """The frames of a zstd body."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    stream = decompressor.stream_reader(io.BytesIO(data), read_across_frames=True)
    while piece := ask(stream.read, _PIECE):
        yield piece


def _brotli(data: bytes) -> Iterator[bytes]:
    """What a brotli stream holds; what lies behind it is left out.

    The library gives nothing of a block that holds more than the stream, or damage: then it is fed by bytes.
    """
    given = good = 0
    try:
        for begin, piece in _fed(data, len(data)):
            good, given = begin, given + len(piece)
            yield piece
    except Refused:
        for _, piece in _fed(data, good):
            yield piece[given:]
            given = max(0, given - len(piece))


def _fed(data: bytes, slowly: int) -> Iterator[tuple[int, bytes]]:
    """Feed a brotli stream in blocks, of one byte from `slowly` on; where each begins, and its output."""
    import brotli

    stream, at = brotli.Decompressor(), 0
    while at < len(data) and not stream.is_finished():
        block = data[at : at + (_PIECE if at < slowly else 1)]
        piece = ask(stream.process, block, output_buffer_limit=_PIECE)
        yield at, piece
        # It gives the rest when it is asked again, though it could take more.
        while piece and not stream.is_finished():
            piece = ask(stream.process, b"", output_buffer_limit=_PIECE)
            yield at, piece
        at += len(block)
