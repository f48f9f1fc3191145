"""JSON Lines, whole or from a byte range of an uncompressed file."""

import json
from collections.abc import Iterator
from typing import NoReturn

import orjson

from pipelines.readers.decompress import Damage, next_frame
from pipelines.readers.foreign import Refused, ask
from pipelines.readers.formats import Segment, compression
from pipelines.readers.lines import bounded_line, open_stream, skip_to_line
from pipelines.readers.records import BOM, Blank, Intake, Record, Unreadable, one_line, only_damage


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
    try:
        fields = ask(orjson.loads, line.strip())
    except Refused as error:
        return Unreadable(file, number, _reason(line, error))
    if not isinstance(fields, dict):
        return Unreadable(file, number, "the record is not a JSON object")
    return intake.from_fields(fields, file, number)


def _reason(line: bytes, refused: Refused) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as found:
        return f"invalid UTF-8 at byte {found.start} of the record"
    try:
        json.loads(line, parse_constant=_refuse)
    except _NoNumberError:
        # Python writes them unless it is told not to, and reads them: JSON has no such numbers.
        return "invalid JSON: NaN and Infinity are no numbers there"
    except (ValueError, RecursionError):
        pass
    error = refused.__cause__
    if isinstance(error, orjson.JSONDecodeError):
        return f"invalid JSON: {error.msg} at character {error.pos}"
    return f"it cannot be read ({refused})"


class _NoNumberError(Exception):
    """NaN or an infinity stands where JSON wants a number."""


def _refuse(name: str) -> NoReturn:
    raise _NoNumberError(name)
