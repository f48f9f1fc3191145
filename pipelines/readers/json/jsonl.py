"""JSON Lines, whole or from a byte range of an uncompressed file."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from base.foreign import Refused, ask
from base.numbers import NoNumberError, fraction, loads
from datastore.schema import Document
from pipelines.readers.bytes.lines import bounded_line, open_stream, skip_to_line
from pipelines.readers.doubts import Doubts, behind, goes_on
from pipelines.readers.formats import Segment
from pipelines.readers.metadata import NESTED
from pipelines.readers.records import (
    BOM,
    Blank,
    Intake,
    Record,
    Unreadable,
    one_line,
    only_damage,
)

# What stands behind the name of a number's field.
_NUMBER = re.compile(rb"\s*:\s*(-?[\d.]+(?:[eE][+-]?\d+)?)")
# A number of fewer characters, without an exponent, is a double to the digit.
_SHORT_NUMBER = 16

_PEEKED, _LONG = 64, 1 << 20


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The records of the lines that begin in the segment."""
    number = segment.first_record
    frame: int | None = 0
    lost = False  # Whether nothing has been read since the last damage, which is listed already.
    doubts = Doubts(segment.name, intake)
    while frame is not None:
        try:
            with open_stream(segment.path, frame, doubting=True) as stream:
                doubts.begin(stream)
                skipped = _skip_torn(stream) if frame else skip_to_line(stream, segment.begin, segment.end)
                number += skipped > 0 and not frame
                for record in _records(stream, segment, skipped, number, doubts):
                    number, lost = number + 1, False
                    yield record
            doubts.ended()
            return
        except OSError as error:
            only_damage(error, segment.path)
            # A compressed stream that breaks off: what came before it has been read.
            doubtful = doubts.broken(error)
            frame = behind(segment.path, error)
            if not lost:
                number, lost = number + 1, True
                reason = f"the file breaks off or is damaged from this record on ({one_line(error)})"
                yield Unreadable(segment.name, number, f"{reason}{doubtful}{goes_on(frame)}")


def _records(
    stream: BinaryIO, segment: Segment, skipped: int, number: int, doubts: Doubts
) -> Iterator[Record]:
    """The records of a stream's lines from here on, behind `number` others, up to the segment's end."""
    position, intake = segment.begin + skipped, doubts.intake
    while segment.end < 0 or position < segment.end:
        line, length = bounded_line(stream, intake.max_record_bytes)
        if not length:
            return
        number += 1
        intake.consumed += length
        record = _record(line, length, segment.name, number, intake)
        if line is not None and isinstance(record, Unreadable) and (seam := doubts.seam(position, length)):
            # A line that has lost its end to damage has swallowed the one behind it.
            swallowed = _record(line[seam:], length - seam, segment.name, number + 1, intake)
            if isinstance(swallowed, Document):
                doubts.add(number, position, seam, record)
                yield record
                number, position, length, record = number + 1, position + seam, length - seam, swallowed
        doubts.add(number, position, length, record)
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
        reason = f"the record has {length:,} bytes and max_record_bytes allows {intake.max_record_bytes:,}"
        return Unreadable(file, number, reason)
    if number == 1:
        line = line.removeprefix(BOM)
    if not line.strip():
        return Blank()
    return of_object(line.strip(), file, number, intake)


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
    if isinstance(fields, dict) and any(_is_rounded(written, name) for name in _floats(fields)):
        return _with_digits(written) or fields
    return fields


def _floats(fields: dict[str, Any]) -> Iterator[str]:
    """The fields that may be kept and are floats: orjson makes them of whole numbers of 20 digits, too."""
    for one in (fields, *(fields[name] for name in NESTED if isinstance(fields.get(name), dict))):
        yield from (name for name, value in one.items() if isinstance(value, float))


def _is_rounded(written: bytes, name: str) -> bool:
    """Whether a field of this name is written with more digits than a float holds, as far as one can tell."""
    key = orjson.dumps(name)
    at = written.find(key)
    if at < 0:
        return True  # Its name is spelled with escapes.
    while at >= 0:
        found = _NUMBER.match(written, at + len(key))
        if found is not None and _is_long(found[1]):
            return True
        at = written.find(key, at + len(key))
    return False


def _is_long(number: bytes) -> bool:
    if len(number) < _SHORT_NUMBER and b"e" not in number.lower():
        return False
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
