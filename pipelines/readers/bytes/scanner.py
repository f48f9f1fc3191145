"""A byte stream read forward through a window that can be searched, for formats without lines.

Knows nothing of formats. What lies before the window is forgotten, so memory is bounded by what is asked for.
"""

import re
from typing import Protocol

_BLOCK = 1 << 20


class Stream(Protocol):
    """What can be read forward."""

    def read(self, size: int, /) -> bytes | None: ...


class Scanner:
    """Reads a stream. `position` counts the bytes before the window."""

    def __init__(self, stream: Stream) -> None:
        self.position = 0
        self._stream = stream
        self._window = bytearray()
        self._ended = False

    def _grow(self) -> bool:
        """Read on; false at the end. Raises what the stream raises, and then again."""
        block = b"" if self._ended else self._stream.read(_BLOCK)
        self._ended = not block
        self._window += block or b""
        return not self._ended

    def holds(self, size: int) -> bool:
        """Whether so many bytes are left; they are held then."""
        while len(self._window) < size and self._grow():
            pass
        return len(self._window) >= size

    def peek(self, size: int, begin: int = 0) -> bytes:
        """The bytes from `begin` on, counted from here; fewer only at the end."""
        self.holds(begin + size)
        return bytes(memoryview(self._window)[begin : begin + size])

    def starts(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether what is held starts with a pattern."""
        return pattern.match(self._window) is not None

    def finds(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether a pattern stands in what is held, behind its first byte."""
        return pattern.search(self._window, 1) is not None

    def take(self, size: int) -> bytes:
        """Read bytes, fewer only at the end."""
        found = self.peek(size)
        self._drop(len(found))
        return found

    def skip(self, size: int) -> int:
        """Pass over bytes, holding few of them; return how many there were."""
        left = size
        while left > 0 and (self._window or self._grow()):
            passed = min(left, len(self._window))
            self._drop(passed)
            left -= passed
        return size - left

    def find(self, mark: bytes, limit: int) -> int | None:
        """Where the first `mark` lies, counted from here; None if it does not end within `limit` bytes."""
        searched = 0
        while True:
            at = self._window.find(mark, max(0, searched - len(mark) + 1), limit)
            if at >= 0:
                return at
            searched = len(self._window)
            if searched >= limit or not self._grow():
                return None

    def skip_to(self, mark: bytes) -> bool:
        """Go to where the next `mark` begins, holding little of what lies before; false if there is none."""
        while (at := self._window.find(mark)) < 0:
            self._drop(max(0, len(self._window) - len(mark) + 1))
            if not self._grow():
                self._drop(len(self._window))
                return False
        self._drop(at)
        return True

    def _drop(self, size: int) -> None:
        del self._window[:size]
        self.position += size
