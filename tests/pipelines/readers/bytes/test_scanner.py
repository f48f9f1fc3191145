import io
import re

from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.bytes.scanner import Scanner


class Slow(io.RawIOBase):
    """Gives one, two or three bytes at a time."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def readable(self):
        return True

    def readinto(self, target):
        size = min(len(target), self._at % 3 + 1, len(self._data) - self._at)
        target[:size] = self._data[self._at : self._at + size]
        self._at += size
        return size


texts = st.text("<ab>", max_size=60).map(str.encode)


@given(texts, st.integers(0, 70))
def test_a_mark_is_found_however_the_bytes_come(data, limit):
    found = data.find(b"<a>", 0, limit)
    assert Scanner(Slow(data)).find(b"<a>", limit) == (None if found < 0 else found)


@given(texts)
def test_what_lies_before_a_mark_is_passed_over(data):
    scanner, starts = Scanner(Slow(data)), []
    while scanner.skip_to(b"<a>"):
        starts.append(scanner.position)
        assert scanner.take(3) == b"<a>"
    assert starts == [n for n in range(len(data)) if data[n:].startswith(b"<a>")]
    assert scanner.position == len(data)


@given(texts, st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=20))
def test_reading_and_passing_over_go_forward_together(data, steps):
    scanner, position = Scanner(Slow(data)), 0
    for skips, size in steps:
        rest = data[position : position + size]
        assert scanner.peek(size) == rest
        assert scanner.peek(3, size) == data[position + size : position + size + 3]
        assert scanner.holds(size) == (len(rest) == size)
        assert scanner.position == position
        if skips:
            assert scanner.skip(size) == len(rest)
        else:
            assert scanner.take(size) == rest
        position += len(rest)
        assert scanner.position == position


@given(texts, st.integers(0, 70))
def test_patterns_are_sought_in_what_is_held_alone(data, size):
    scanner = Scanner(io.BytesIO(data[:size]))
    scanner.holds(size)
    assert scanner.starts(re.compile(b"<a>")) == data[:size].startswith(b"<a>")
    assert scanner.finds(re.compile(b"<a>")) == (data.find(b"<a>", 1, size) >= 0)
