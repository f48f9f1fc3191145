"""Compressed files as byte streams that give all they can: data before damage, then an error.

Library readers raise as soon as a block cannot be filled and lose what they had decompressed of it; here a
truncated or damaged file yields everything up to the cut or the damage first (zstd and bzip2 check whole
blocks and give none of a damaged one). Where the format consists of frames (gzip and zstd members, bzip2 and
xz streams), reading can begin at any of them, and go on behind a damaged one. A frame's checksum stands at
its end: what it gave out before is unchecked until then.

Decisions: docs/decisions/readers-and-damage.md, sources.md.
"""

import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from pipelines.readers.bytes.codec import (
    BLOCK,
    BZIP2_BLOCK,
    CODECS,
    FAULTS,
    LEAST,
    MAGIC,
    MOST_OUTPUT,
    SKIPPABLE,
    block_of,
    decompress,
    end_of,
    pieces,
)
from pipelines.readers.bytes.files import open_file, open_short

_SEARCHED = 1 << 22
# What a frame that is looked for must give without a fault, if it has no end before.
_SOUND = 1 << 16


class Damage(OSError):
    """Compressed data that cannot be read on. It has no errno: the system is not at fault.

    `frame` is where in the file the damaged frame begins, `start` where among what was given out that begins
    which nothing has checked: the frame's data, of bzip2 a block's. `cut` says that the file ends in it.
    """

    def __init__(self, reason: str, frame: int, start: int, cut: bool = False) -> None:
        super().__init__(reason)
        self.frame, self.start, self.cut = frame, start, cut


class Fault(NamedTuple):
    """A frame of which the checksum alone is wrong: where its data lie among what was given out, and why."""

    start: int
    end: int
    reason: str


class Decompressed(io.RawIOBase):
    """The decompressed bytes of a file of one or several frames, from the frame at `begin` on.

    `limit` is where among these bytes the first frame at or behind `end` begins: None until it is reached.
    What lies before `checked` belongs to frames that have ended, of bzip2 to blocks: as far as they have
    checksums, it is as it was written. A frame whose checksum alone is wrong lacks nothing. If `doubting`,
    it is one of the `faults` and reading goes on with the next one, else it is damage.
    """

    def __init__(
        self, raw: BinaryIO, codec: str, begin: int = 0, end: int = -1, doubting: bool = False
    ) -> None:
        self._raw = raw
        self._doubting = doubting
        self._codec = codec
        self._open = CODECS[codec]
        self._block = block_of(codec)
        self._end = end
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")
        self._damage: Damage | None = None
        self._frame_at = begin  # Where the frame begins in the file, and where among the bytes given out.
        self._frame_start = 0
        self._made = 0
        self.limit: int | None = None
        self.checked = 0
        self.faults: list[Fault] = []
        self.ended = 0
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
            if self._frame is not None and not self._is_rest():
                raise self._damaged("it ends in the middle of a compressed block", cut=True)
            return False
        if self._frame is None:
            data = data.lstrip(b"\0")  # gzip may pad its end with zeros, for tapes; xz does too.
            if not data:
                return True
            self._begin_frame(len(data))
        try:
            self._give(decompress(self._frame, data))
        except FAULTS as error:
            self._fail(error)
            return True
        if self._frame.eof:
            self._end_frame(self._frame.unused_data)
        elif self._codec == "bzip2" and self._frame.needs_input:
            self.checked = self._made  # A block is given out whole, and compared, before more is asked for.
        return True

    def _begin_frame(self, ahead: int) -> None:
        """Open a frame that begins so many bytes before what is read next."""
        self._frame = self._open()
        self._frame_at, self._frame_start = self._raw.tell() - ahead, self._made
        if self.limit is None and 0 <= self._end <= self._frame_at:
            self.limit = self._made

    def _end_frame(self, behind: bytes) -> None:
        """Done with a frame, behind which this has been read already."""
        self._input, self._frame = behind, None
        self.checked = self._made
        self.ended += 1

    def _give(self, output: bytes) -> None:
        self._made += len(output)
        self._output = memoryview(output)

    def _damaged(self, reason: str, cut: bool = False) -> Damage:
        return Damage(reason, self._frame_at, self.checked, cut)

    def _fail(self, error: Exception) -> None:
        """Give what the frame gives before its fault. Go on behind it, if its checksum alone is wrong."""
        found, at = self._until_damage()
        self._give(found)
        end = end_of(self._codec, error, at)
        if self._doubting and end is not None and self._may_begin(end):
            self.faults.append(Fault(self._frame_start, self._made, f"their checksum is wrong ({error})"))
            self._raw.seek(end)
            self._end_frame(b"")
        elif self._is_rest():
            self._frame = None
        else:
            self._damage = self._damaged(f"damaged compressed data: {error}")

    def _may_begin(self, at: int) -> bool:
        """Whether a frame begins in the file there, or padding, or it ends."""
        self._raw.seek(at)
        found = self._raw.read(len(MAGIC[self._codec]))
        return found[:1] in (b"", b"\0") or found == MAGIC[self._codec] or found in SKIPPABLE

    def _is_rest(self) -> bool:
        """Whether what is left of a gzip file behind its members is none, and too short for one."""
        if self._codec != "gzip" or not self.ended or self._made > self._frame_start:
            return False
        self._raw.seek(self._frame_at)
        rest, magic = self._raw.read(LEAST), MAGIC[self._codec]
        return len(rest) < LEAST and rest[: len(magic)] != magic[: len(rest)]

    def _until_damage(self) -> tuple[bytes, int]:
        """What the frame gives before its damage and has not given out yet, and where in the file it is seen.

        Read again from its beginning, the last block byte by byte: most decompressors cannot be copied before
        each block, and damage is rare.
        """
        end = self._raw.tell()
        frame, found, given = self._open(), bytearray(), self._made - self._frame_start
        self._raw.seek(self._frame_at)
        try:
            while (at := self._raw.tell()) < end:
                size = max(1, min(self._block, end - self._block - at))
                for piece in pieces(frame, self._raw.read(size)):
                    found += piece[given:]
                    given = max(0, given - len(piece))
        except FAULTS as error:
            if getattr(error, "errno", None) is not None:
                raise
        return bytes(found), self._raw.tell()

    def close(self) -> None:
        self._raw.close()
        super().close()


def open_frames(path: str, codec: str, begin: int = 0, end: int = -1, doubting: bool = False) -> Decompressed:
    """Open a compressed file at the frame that begins at `begin`; its `limit` is that of `end`."""
    # Closed with the stream around it.
    return Decompressed(open_file(path, 0), codec, begin, end, doubting)


def open_compressed(path: str, codec: str, begin: int = 0, doubting: bool = False) -> BinaryIO:
    """Open a compressed file for reading its decompressed bytes, from the frame at `begin` on."""
    return io.BufferedReader(open_frames(path, codec, begin, doubting=doubting), 1 << 20)


def next_frame(path: str, codec: str, begin: int, end: int = -1, starts: bytes = b"") -> int | None:
    """Where the first frame begins whose first byte lies in [begin, end) of a file, None if there is none.

    A frame is told by its magic number, and that its data begin with `starts`.
    """
    return next((at for at in _magics(path, codec, begin, end) if _is_frame(path, codec, at, starts)), None)


def next_sound_frame(path: str, codec: str, begin: int, end: int = -1) -> int | None:
    """Where the first frame begins in [begin, end) of a file that can be read, None if there is none.

    It has an end, with nothing but its checksum wrong at most; or its beginning is without a fault, up to the
    end of the file or so far that other data would have shown one.
    """
    found = (at for at in _magics(path, codec, begin, end) if _is_frame(path, codec, at, b""))
    return next((at for at in found if _is_sound(path, codec, at)), None)


def _magics(path: str, codec: str, begin: int, end: int) -> Iterator[int]:
    """Where in [begin, end) of a file the magic number stands."""
    magic = MAGIC[codec]
    with open_short(path) as raw:
        raw.seek(begin)
        window, at = b"", begin
        while block := raw.read(_SEARCHED):
            window += block
            found = window.find(magic)
            while found >= 0 and (end < 0 or at + found < end):
                yield at + found
                found = window.find(magic, found + 1)
            kept = len(magic) - 1
            at += len(window) - len(window[-kept:])
            window = window[-kept:]
            if 0 <= end <= at:
                return


def _is_sound(path: str, codec: str, at: int) -> bool:
    with Decompressed(open_file(path, 0, BLOCK), codec, at, doubting=True) as stream:
        found = 0
        try:
            while not stream.ended and found < _SOUND and (piece := stream.read(_SOUND)):
                found += len(piece)
        except Damage as error:
            return error.cut and found > 0
    return True


def _is_frame(path: str, codec: str, at: int, starts: bytes) -> bool:
    if codec == "bzip2":
        with open_short(path) as raw:
            raw.seek(at)
            if raw.read(10)[4:] != BZIP2_BLOCK:
                return False
    if not starts:
        return True
    with Decompressed(open_file(path, 0, BLOCK), codec, at) as stream:
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
        while piece := stream.read(MOST_OUTPUT):
            made, read = made + len(piece), beginning.tell()
    return made / read if made else 1.0
