"""JSON values one after another, or in one array, however they are spread over lines: each as its bytes.

Knows brackets and strings, not what a value says. A value that is not closed as it should be costs itself:
its end is told by what cannot stand in JSON, and the next one sought.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipelines.readers.limits import too_large

BROKEN_OFF = "the file breaks off in this record"
_BLOCK = 1 << 20
_BETWEEN = re.compile(rb"[\s,\x1e]*")
_MARK = re.compile(rb'["{}\[\]]')
# The rest of a string, as far as it is there: up to its quote, or half an escape.
_REST = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_WORD = re.compile(rb"[^\s,\[\]{}\"]++")
# What is read in vain may be read again for the values in it, in all so many times what has been read, and so
# many bytes: thousands of values that are nested and not closed would otherwise take quadratic time.
_TIMES, _FREE = 4, 1 << 20
_OPENS = {ord("}"): ord("{"), ord("]"): ord("[")}


@dataclass(frozen=True, slots=True)
class Value:
    """The bytes of one value; None of one that is too long or not closed, and why. `begin` counts bytes."""

    data: bytes | None
    begin: int
    length: int
    reason: str = ""


class _Wrong(Exception):
    """A value goes on as no JSON does; where the next one is to be sought."""

    def __init__(self, reason: str, at: int, seek: bool = False) -> None:
        super().__init__(reason)
        self.at, self.seek = at, seek


class JsonValues:
    """Reads the values of a stream, holding at most `limit` bytes of one and a block."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit = stream, limit
        # What is held, and the bytes before it. Blocks may be small: bytes would be copied with each.
        self._window, self._begin = bytearray(), 0
        self._at = 0  # Where the next value is looked for.
        self._in_vain = 0

    def __iter__(self) -> Iterator[Value]:
        inside = False  # Whether in the array that holds all.
        while self._skip():
            char = bytes(self._window[self._at : self._at + 1])
            if char == (b"]" if inside else b"["):
                inside, self._at = not inside, self._at + 1
            elif char in b"]}":
                self._at += 1
                yield Value(None, self._begin + self._at - 1, 1, "a bracket is closed that is not open")
            else:
                value = self._value()
                yield value
                inside = inside and value.reason != BROKEN_OFF
        if inside:
            reason = "the file ends within the array: what is behind this may be lost"
            yield Value(None, self._begin + self._at, 0, reason)

    def _skip(self) -> bool:
        """Go to the next value or bracket; false at the end."""
        self._indent: bytes | None = None
        while True:
            found = _BETWEEN.match(self._window, self._at)
            assert found is not None  # Nothing is something between, too.
            _, newline, indent = found[0].rpartition(b"\n")
            if newline:
                self._indent = indent
            elif self._indent is not None:
                self._indent += indent
            self._at = found.end()
            if self._at < len(self._window):
                return True
            if not self._more(self._at):
                return False

    def _more(self, kept: int) -> bool:
        """Read on, forgetting what lies before `kept`; false at the end."""
        block = self._stream.read1(_BLOCK)  # type: ignore[attr-defined]
        del self._window[:kept]
        self._window += block
        self._begin += kept
        self._at -= kept
        return bool(block)

    def _value(self) -> Value:
        scan = _Scan(self, self._begin + self._at)
        try:
            end = scan.end()
        except _Wrong as error:
            self._in_vain += scan.place - scan.begin
            again = self._in_vain <= _TIMES * scan.place + _FREE
            self._at = (error.at if again else max(error.at, scan.place)) - self._begin
            if error.seek:
                self._seek()
            return Value(None, scan.begin, max(0, self._begin + self._at - scan.begin), str(error))
        length = end - scan.begin
        data = (
            None
            if scan.begin < self._begin or length > self._limit
            else bytes(self._window[self._at : end - self._begin])
        )
        self._at = end - self._begin
        reason = "" if data is not None else too_large("the record", length, self._limit)
        return Value(data, scan.begin, length, reason)

    def _seek(self) -> None:
        """Go to what begins as the value did that went wrong: on a line of its own, or behind a comma."""
        start = b",\\s*" if self._indent is None else b"\\n" + re.escape(self._indent)
        pattern = re.compile(start + rb"(?=\{)")
        while (found := pattern.search(self._window, self._at)) is None:
            # A beginning may lie across the window's end.
            self._at = max(self._at, len(self._window) - 1000)
            if not self._more(self._at):
                self._at = len(self._window)
                return
        self._at = found.end()

    def byte(self, at: int) -> int:
        return self._window[at - self._begin]

    def search(self, pattern: re.Pattern[bytes], at: int) -> int | None:
        found = pattern.search(self._window, at - self._begin)
        return None if found is None else self._begin + found.start()

    def match(self, pattern: re.Pattern[bytes], at: int) -> int:
        found = pattern.match(self._window, at - self._begin)
        return at if found is None else self._begin + found.end()

    def between(self, begin: int, end: int) -> bytes:
        return bytes(self._window[begin - self._begin : end - self._begin]).strip()

    @property
    def held(self) -> int:
        """Where what is held ends."""
        return self._begin + len(self._window)

    def grow(self, begin: int, at: int) -> bool:
        """Read on from `at`, keeping the value that begins at `begin` unless it is too long."""
        kept = at if begin < self._begin or at - begin > self._limit else begin
        return self._more(kept - self._begin)


class _Scan:
    """One value's way from its first byte to its end. Places are bytes of the stream."""

    def __init__(self, values: JsonValues, begin: int) -> None:
        self._values = values
        self.begin = self._at = begin
        self._open = bytearray()
        # The last byte that is no white space; a quote is the end of a string.
        self._before = 0

    @property
    def place(self) -> int:
        """How far it has come."""
        return self._at

    def end(self) -> int:
        """Where the value ends. Raises _Wrong if it ends as no value does."""
        first = self._values.byte(self._at)
        if first not in b'{["':
            return self._word()
        while True:
            mark = self._mark()
            if mark == ord('"'):
                self._string()
            elif mark in b"{[":
                self._opened(mark)
            else:
                self._closed(mark)
            self._before = mark
            if not self._open:
                return self._at

    def _word(self) -> int:
        while (end := self._values.match(_WORD, self._at)) == self._values.held:
            self._at = end
            if not self._values.grow(self.begin, end):
                break
        return end

    def _mark(self) -> int:
        """Go behind the next bracket or quote; which it is."""
        while True:
            found = self._values.search(_MARK, self._at)
            end = self._values.held if found is None else found
            if passed := self._values.between(self._at, end):
                if self._before == ord('"') and passed[:1] not in b",:":
                    raise _Wrong("invalid JSON: a string ends where none may end", self.begin + 1, seek=True)
                self._before = passed[-1]
            self._at = end
            if found is not None:
                self._at += 1
                return self._values.byte(found)
            self._grow()

    def _grow(self) -> None:
        if not self._values.grow(self.begin, self._at):
            raise _Wrong(BROKEN_OFF, self._values.held)

    def _string(self) -> None:
        if self._open and self._before not in b"{[,:":
            raise _Wrong("invalid JSON: a string begins where none may begin", self.begin + 1, seek=True)
        while True:
            self._at = self._values.match(_REST, self._at)
            if self._at < self._values.held and self._values.byte(self._at) == ord('"'):
                self._at += 1
                return
            self._grow()

    def _opened(self, mark: int) -> None:
        if self._open and self._before not in (b":" if self._open[-1] == ord("{") else b"[,"):
            raise _Wrong("invalid JSON: a bracket is not closed", self._at - 1)
        self._open.append(mark)

    def _closed(self, mark: int) -> None:
        if self._open[-1] != _OPENS[mark]:
            # A bracket of an array ends the array of all; a brace this value.
            raise _Wrong("invalid JSON: a bracket is not closed", self._at - (mark == ord("]")))
        self._open.pop()
