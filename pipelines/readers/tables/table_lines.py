"""The lines of a table's file as text, in UTF-8 or UTF-16; lines can be put back."""

import codecs
import io
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipelines.readers.bytes.lines import bounded_line, open_stream
from pipelines.readers.records import BOM, Intake

_BLOCK = 1 << 16
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """A line, numbered from 1, which begins at a byte of its stream: None if it is too long.

    Bytes that are no UTF-8 are escaped as surrogates.
    """

    number: int
    text: str | None
    bytes: int
    begin: int

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return self.text is not None and not self.text.strip()


class Lines:
    """The lines of streams, one behind the other, each up to its end or a `failure` to read on."""

    _stream: BinaryIO

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: deque[Line] = deque()
        self._position = self.number = 0
        self._recoded = False
        self.failure: OSError | None = None

    def begin(self, stream: BinaryIO) -> object:
        """Go on with a stream. Returns what its bytes come from."""
        self._stream, self._position, self.failure = stream, 0, None
        raw = getattr(stream, "raw", None)
        self._recoded = isinstance(raw, _Recoded)
        return raw.source if isinstance(raw, _Recoded) else stream

    @property
    def position(self) -> int:
        """Where in what was begun with the next line begins; in what is recoded that may be anywhere."""
        if self._recoded:
            return sys.maxsize
        return self._waiting[0].begin if self._waiting else self._position

    def span(self, line: Line) -> tuple[int, int]:
        """From where on what begins with a line and ends before the next lies there, and its length."""
        begin = 0 if self._recoded else line.begin
        return begin, self.position - begin

    def next(self) -> Line | None:
        """The next line, None behind the last."""
        if self._waiting:
            return self._waiting.popleft()
        try:
            line, length = bounded_line(self._stream, self._intake.max_record_bytes)
        except OSError as error:
            # Told at the end: lines that wait come first.
            self.failure = error
            return None
        if not length:
            return None
        self._intake.consumed += length
        self.number += 1
        if line is not None and self.number == 1:
            line = line.removeprefix(BOM)
        text = None if line is None else line.decode(errors="surrogateescape")
        self._position += length
        return Line(self.number, text, length, self._position - length)

    def put_back(self, lines: list[Line]) -> None:
        """Let these lines come again."""
        self._waiting.extendleft(reversed(lines))


def open_table(path: str, frame: int = 0) -> BinaryIO:
    """A file's bytes as UTF-8 with line feeds, decompressed as its name tells, from a frame on.

    Spreadsheets export UTF-16, which a mark begins, and lines that end with a carriage return alone.
    """
    stream = open_stream(path, frame, doubting=True)
    if frame:
        return stream
    try:
        # Never empty but at the end, and all of a line unless that is very long.
        first = stream.peek(2)  # type: ignore[attr-defined]
    except OSError:
        return stream  # Whoever reads it meets the same.
    alone = b"\r" in first and b"\n" not in first
    if first[:2] not in _UTF16 and not alone:
        return stream
    # Places in what is recoded are not those of the stream: it goes on behind no wrong checksum.
    stream.close()
    stream = open_stream(path)
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace") if first[:2] in _UTF16 else None

    def recode(data: bytes) -> bytes:
        data = decoder.decode(data).encode() if decoder else data
        return data.replace(b"\r", b"\n") if alone else data

    return io.BufferedReader(_Recoded(stream, recode), _BLOCK)


class _Recoded(io.RawIOBase):
    """A stream, recoded block by block."""

    def __init__(self, stream: Any, recode: Callable[[bytes], bytes]) -> None:
        self.source, self._recode = stream, recode
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        # One read below each: what came before damage would be lost with it.
        while not self._left and (data := self.source.read1(_BLOCK)):
            self._left = self._recode(data)
        view = memoryview(target)
        size = min(len(view), len(self._left))
        view[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self.source.close()
        super().close()
