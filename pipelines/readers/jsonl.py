"""JSON Lines, whole or from a byte range of an uncompressed file."""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from datastore.numbers import NoNumberError, loads
from pipelines.readers.decompress import Damage, next_frame
from pipelines.readers.foreign import Refused, ask
from pipelines.readers.formats import Segment, compression
from pipelines.readers.lines import bounded_line, open_stream, skip_to_line
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

# A number of 16 digits, or with an exponent of three: a double, or 64 bits, hold any other to the digit.
_LONG_NUMBER = re.compile(rb"[:,\[\s]-?(?:\d(?:\.?\d){15}|[\d.]+[eE][+-]?\d{3})")


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The records of the lines that begin in the segment."""
    number = segment.first_record
    frame: int | None = 0
    while frame is not None:
        try:
            with open_stream(segment.path, frame) as stream:
                skipped = skip_to_line(stream, segment.begin, segment.end)
                number += skipped > 0
                position = segment.begin + skipped
                while segment.end < 0 or position < segment.end:
                    line, length = bounded_line(stream, intake.max_record_bytes)
                    if not length:
                        return
                    position += length
                    intake.consumed += length
                    number += 1
                    yield _record(line, length, segment.name, number, intake)
            return
        except OSError as error:
            only_damage(error, segment.path)
            # A compressed stream that breaks off: what came before it has been read.
            reason = f"the file breaks off or is damaged after this record ({one_line(error)})"
            number += 1
            yield Unreadable(segment.name, number, reason)
            frame = _behind(segment.path, error)


def _behind(path: str, error: OSError) -> int | None:
    """Where the first frame of a compressed file behind a damaged one begins that begins with a record."""
    codec = compression(path)
    if codec is None or not isinstance(error, Damage):
        return None
    return next_frame(path, codec, error.frame + 1, starts=b"{")


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
    except Refused:
        fields = _with_digits(written)
        if fields is None:
            raise
        return fields
    if isinstance(fields, dict) and _holds_float(fields):
        return _with_digits(written) or fields
    return fields


def _holds_float(fields: dict[str, Any]) -> bool:
    """Whether a field that may be kept is a float: orjson makes them of whole numbers of 20 digits, too."""
    nested = (fields[name] for name in NESTED if isinstance(fields.get(name), dict))
    return any(isinstance(value, float) for one in (fields, *nested) for value in one.values())


def _with_digits(written: bytes) -> Any:
    """What JSON says that has numbers no double may hold; None if it has none, or is no JSON."""
    if not _LONG_NUMBER.search(written):
        return None
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
