"""Compressed files as byte streams that give all they can: data before damage, then an error.

Library readers raise as soon as a block cannot be filled and lose what they had decompressed of it; here a
truncated or damaged file yields everything up to the cut or the damage first (zstd and bzip2 check whole
blocks and give none of a damaged one). Where the format consists of frames (gzip and zstd members, bzip2 and
xz streams), reading can begin at any of them, and go on behind a damaged one.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import zstandard

from pipelines.readers.files import open_file, open_short

_BLOCK = 1 << 16
_SEARCHED = 1 << 22
# What one block may become at once: bzip2 makes a gigabyte of 50 kilobytes of zeros.
_MOST_OUTPUT = 1 << 22
# zstd gives all that a block holds, up to 33,000 times as much; deflate up to 1,000 times.
_ZSTD_BLOCK = 1 << 11
# What `zstd --long=31` needs; the memory is taken only by files that ask for it.
_LONGEST_WINDOW = 2**31

CODECS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW).decompressobj(),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}
# How frames begin. bzip2's is one of 80 bits with the level between: in other data it is not found by chance.
_MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_BZIP2_BLOCK = b"1AY&SY"
_FAULTS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError)


class Damage(OSError):
    """Compressed data that cannot be read on. It has no errno: the system is not at fault.

    `frame` is where in the file the damaged frame begins, `start` where its data does among what was given
    out.
    """

    def __init__(self, reason: str, frame: int, start: int) -> None:
        super().__init__(reason)
        self.frame, self.start = frame, start


class Decompressed(io.RawIOBase):
    """The decompressed bytes of a file of one or several frames, from the frame at `begin` on.

    `limit` is where among these bytes the first frame at or behind `end` begins: None until it is reached.
    """

    def __init__(self, raw: BinaryIO, codec: str, begin: int = 0, end: int = -1) -> None:
        self._raw = raw
        self._open = CODECS[codec]
        self._block = _block_of(codec)
        self._end = end
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")
        self._damage: Damage | None = None
        self._frame_at = begin  # Where the frame begins in the file, and where among the bytes given out.
        self._frame_start = 0
        self._made = 0
        self.limit: int | None = None
        raw.seek(begin)

    @property
    def frame(self) -> tuple[int, int]:
        """Where in the file the frame begins that was read last, and where its data do in what comes out."""
        return self._frame_at, self._frame_start

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target)
        while not self._output:
            if not self._decompress():
                return 0
        size = min(len(view), len(self._output))
        view[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def _decompress(self) -> bool:
        """Decompress one block of input; false at the end. Raises Damage at damage or a cut."""
        if self._damage:
            raise self._damage
        full = self._frame is not None and not getattr(self._frame, "needs_input", True)
        data = b"" if full else self._input or self._raw.read(self._block)
        self._input = b""
        if not data and not full:
            if self._frame is not None:
                raise self._damaged("it ends in the middle of a compressed block")
            return False
        if self._frame is None:
            data = data.lstrip(b"\0")  # gzip may pad its end with zeros, for tapes; xz does too.
            if not data:
                return True
            self._begin_frame(len(data))
        try:
            self._give(_decompress(self._frame, data))
        except _FAULTS as error:
            self._damage = self._damaged(f"damaged compressed data: {error}")
            self._give(self._until_damage())
            return True
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return True

    def _begin_frame(self, ahead: int) -> None:
        """Open a frame that begins so many bytes before what is read next."""
        self._frame = self._open()
        self._frame_at, self._frame_start = self._raw.tell() - ahead, self._made
        if self.limit is None and 0 <= self._end <= self._frame_at:
            self.limit = self._made

    def _give(self, output: bytes) -> None:
        self._made += len(output)
        self._output = memoryview(output)

    def _damaged(self, reason: str) -> Damage:
        return Damage(reason, self._frame_at, self._frame_start)

    def _until_damage(self) -> bytes:
        """What the frame gives before its damage and has not given out yet.

        Read again from its beginning, the last block byte by byte: most decompressors cannot be copied before
        each block, and damage is rare.
        """
        end = self._raw.tell()
        frame, found, given = self._open(), bytearray(), self._made - self._frame_start
        self._raw.seek(self._frame_at)
        try:
            while (at := self._raw.tell()) < end:
                size = max(1, min(self._block, end - self._block - at))
                for piece in _pieces(frame, self._raw.read(size)):
                    found += piece[given:]
                    given = max(0, given - len(piece))
        except _FAULTS as error:
            if getattr(error, "errno", None) is not None:
                raise
        return bytes(found)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _decompress(frame: Any, data: bytes) -> bytes:
    """Feed a block, and take what it gives: from bzip2 and xz a part, if it is much."""
    output: bytes = (
        frame.decompress(data, _MOST_OUTPUT) if hasattr(frame, "needs_input") else frame.decompress(data)
    )
    return output


def _block_of(codec: str) -> int:
    """Bytes that a decompressor is given at a time."""
    return _ZSTD_BLOCK if codec == "zstd" else _BLOCK


def _pieces(frame: Any, data: bytes) -> Iterator[bytes]:
    """Feed a block, and take all it gives."""
    yield _decompress(frame, data)
    while not frame.eof and not getattr(frame, "needs_input", True):
        yield _decompress(frame, b"")


def open_frames(path: str, codec: str, begin: int = 0, end: int = -1) -> Decompressed:
    """Open a compressed file at the frame that begins at `begin`; its `limit` is that of `end`."""
    # Closed with the stream around it.
    return Decompressed(open_file(path, 0), codec, begin, end)


def open_compressed(path: str, codec: str, begin: int = 0) -> BinaryIO:
    """Open a compressed file for reading its decompressed bytes, from the frame at `begin` on."""
    return io.BufferedReader(open_frames(path, codec, begin), 1 << 20)


def next_frame(path: str, codec: str, begin: int, end: int = -1, starts: bytes = b"") -> int | None:
    """Where the first frame begins whose first byte lies in [begin, end) of a file, None if there is none.

    A frame is told by its magic number, and that its data begin with `starts`.
    """
    magic = _MAGIC[codec]
    with open_short(path) as raw:
        raw.seek(begin)
        window, at = b"", begin
        while block := raw.read(_SEARCHED):
            window += block
            found = window.find(magic)
            while found >= 0 and (end < 0 or at + found < end):
                if _is_frame(path, codec, at + found, starts):
                    return at + found
                found = window.find(magic, found + 1)
            kept = len(magic) - 1
            at += len(window) - len(window[-kept:])
            window = window[-kept:]
            if 0 <= end <= at:
                return None
    return None


def _is_frame(path: str, codec: str, at: int, starts: bytes) -> bool:
    if codec == "bzip2":
        with open_short(path) as raw:
            raw.seek(at)
            if raw.read(10)[4:] != _BZIP2_BLOCK:
                return False
    if not starts:
        return True
    with Decompressed(open_file(path, 0, _BLOCK), codec, at) as stream:
        try:
            found = b""
            while len(found) < len(starts) and (piece := stream.read(len(starts) - len(found))):
                found += piece
        except Damage:
            return False
    return found == starts


def expansion(path: str, codec: str) -> float:
    """Decompressed bytes for each byte of a file, by its beginning; 1 if it cannot be read."""
    with open_short(path) as raw:
        beginning = io.BytesIO(raw.read(1 << 20))
    stream = Decompressed(beginning, codec)
    made = read = 0
    # The beginning ends in the middle of a block: what gave nothing any more is not counted.
    with suppress(Damage):
        while piece := stream.read(_MOST_OUTPUT):
            made, read = made + len(piece), beginning.tell()
    return made / read if made else 1.0
