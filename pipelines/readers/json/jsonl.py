"""JSON Lines, whole or from a byte range of an uncompressed file."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from base.foreign import Refused, ask
from base.numbers import NoNumberError, fraction, loads
from datastore.schema import Document
from pipelines.readers.bytes.lines import bounded_line, open_stream, skip_to_line
from pipelines.readers.damage import Break, reading_on
from pipelines.readers.doubts import Doubts
from pipelines.readers.limits import too_large
from pipelines.readers.metadata import NESTED
from pipelines.readers.records import BOM, Blank, Intake, Record, Unreadable
from pipelines.readers.segment import Segment

# What stands behind a field's name, if it is a number that a double may not hold to the digit. Those of fewer
# characters without an exponent it does hold.
_LONG_NUMBER = re.compile(rb"\s*:\s*(-?(?:[\d.]{16,}(?:[eE][+-]?\d+)?|[\d.]+[eE][+-]?\d+))")

_PEEKED, _LONG = 64, 1 << 20


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The records of the lines that begin in the segment."""
    lines = _Lines(segment, intake)
    for found in reading_on(segment, lines.doubts, lines.read):
        if isinstance(found, Break):
            lines.number += 1
            yield Unreadable(segment.name, lines.number, found.reason())
        else:
            yield found


class _Lines:
    """The lines of a segment, behind `number` others of its file."""

    def __init__(self, segment: Segment, intake: Intake) -> None:
        self._segment, self._intake = segment, intake
        self.doubts = Doubts(segment.name, intake)
        self.number = segment.first_record

    def read(self, frame: int) -> Iterator[Record]:
        """The records from the frame on that begins there, up to the segment's end."""
        segment = self._segment
        with open_stream(segment.path, frame, doubting=True) as stream:
            self.doubts.begin(stream)
            skipped = _skip_torn(stream) if frame else skip_to_line(stream, segment.begin, segment.end)
            self.number += skipped > 0 and not frame  # It begins before the segment, and is counted there.
            yield from self._records(stream, segment.begin + skipped)

    def _records(self, stream: BinaryIO, position: int) -> Iterator[Record]:
        intake, name, end = self._intake, self._segment.name, self._segment.end
        while end < 0 or position < end:
            line, length = bounded_line(stream, intake.max_record_bytes)
            if not length:
                return
            self.number += 1
            intake.consumed += length
            record = _record(line, length, name, self.number, intake)
            if (
                line is not None
                and isinstance(record, Unreadable)
                and (seam := self.doubts.seam(position, length))
            ):
                # A line that has lost its end to damage has swallowed the one behind it.
                swallowed = _record(line[seam:], length - seam, name, self.number + 1, intake)
                if isinstance(swallowed, Document):
                    self.doubts.add(self.number, position, seam, record)
                    yield record
                    self.number += 1
                    position, length, record = position + seam, length - seam, swallowed
            self.doubts.add(self.number, position, length, record)
            position += length
            yield record


def _skip_torn(stream: BinaryIO) -> int:
    """Pass over what is left of a line whose beginning is lost; return its bytes. Records begin with `{`."""
    beginning: bytes = stream.peek(_PEEKED)[:_PEEKED]  # type: ignore[attr-defined]
    skipped = 0
    if not beginning.lstrip().startswith(b"{"):
        while piece := stream.readline(_LONG):
            skipped += len(piece)
            if piece.endswith(b"\n"):
                break
    return skipped


def _record(line: bytes | None, length: int, file: str, number: int, intake: Intake) -> Record:
    if line is None:
        return Unreadable(file, number, too_large("the record", length, intake.max_record_bytes))
    if number == 1:
        line = line.removeprefix(BOM)
    written = line.strip()
    return of_object(written, file, number, intake) if written else Blank()


def of_object(written: bytes, file: str, number: int, intake: Intake) -> Record:
    """The record that a JSON object is, or why it is none."""
    try:
        fields = _fields(written)
    except Refused as error:
        return Unreadable(file, number, _reason(written, error))
    if not isinstance(fields, dict):
        return Unreadable(file, number, "the record is not a JSON object")
    return intake.from_fields(fields, file, number)


def _fields(written: bytes) -> Any:
    """What the JSON says. orjson rounds long numbers, and refuses huge ones: those are read again."""
    try:
        fields = ask(orjson.loads, written)
    except Refused as error:
        if "infinity" in str(error) and (fields := _with_digits(written)) is not None:
            return fields
        raise
    if isinstance(fields, dict) and _has_rounded(written, fields):
        return _with_digits(written) or fields
    return fields


def _has_rounded(written: bytes, fields: dict[str, Any]) -> bool:
    """Whether a field that may be kept is rounded: orjson makes floats of whole numbers of 20 digits, too."""
    # Of every record, so without a call for each field.
    for name, value in fields.items():
        if isinstance(value, float):
            if _is_rounded(written, name):
                return True
        elif isinstance(value, dict) and name in NESTED:
            for inner, one in value.items():
                if isinstance(one, float) and _is_rounded(written, inner):
                    return True
    return False


def _is_rounded(written: bytes, name: str) -> bool:
    """Whether a field of this name is written with more digits than a float holds, as far as one can tell."""
    key = orjson.dumps(name)
    at = written.find(key)
    if at < 0:
        return True  # Its name is spelled with escapes.
    while at >= 0:
        found = _LONG_NUMBER.match(written, at + len(key))
        if found is not None and _is_long(found[1]):
            return True
        at = written.find(key, at + len(key))
    return False


def _is_long(number: bytes) -> bool:
    """Whether a number has digits that a double does not hold."""
    try:
        return not isinstance(fraction(number.decode()), float)
    except ValueError:
        return True


def _with_digits(written: bytes) -> Any:
    """What JSON says, with every digit; None if Python does not read it."""
    try:
        return loads(written.decode())
    except (ValueError, RecursionError):
        return None


def _reason(line: bytes, refused: Refused) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as found:
        return f"invalid UTF-8 at byte {found.start} of the record"
    try:
        loads(line.decode())
    except NoNumberError:
        # Python writes them unless it is told not to, and reads them: JSON has no such numbers.
        return "invalid JSON: NaN and Infinity are no numbers there"
    except (ValueError, RecursionError):
        pass
    error = refused.__cause__
    if isinstance(error, orjson.JSONDecodeError):
        return f"invalid JSON: {error.msg} at character {error.pos}"
    return f"it cannot be read ({refused})"
