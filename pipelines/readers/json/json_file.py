"""JSON files that are no JSON Lines: one array of records, or objects printed over several lines.

Decisions: docs/decisions/readers-and-damage.md.
"""

import io
from collections.abc import Iterator
from contextlib import suppress

import orjson

from base.foreign import Refused, ask
from pipelines.readers.bytes.decompress import Damage, Decompressed
from pipelines.readers.bytes.endings import compression
from pipelines.readers.bytes.files import open_short
from pipelines.readers.bytes.lines import open_stream
from pipelines.readers.damage import Break
from pipelines.readers.doubts import Doubts
from pipelines.readers.json.json_values import JsonValues, Value
from pipelines.readers.json.jsonl import of_object
from pipelines.readers.records import BOM, Intake, Record, Unreadable, only_damage
from pipelines.readers.segment import Segment

_HEAD_BYTES = 1 << 16


def is_json_file(path: str) -> bool:
    """Whether a file's beginning is that of an array, or of an object that does not end with its line."""
    with open_short(path) as raw:
        head = raw.read(_HEAD_BYTES)
    if codec := compression(path):
        stream, head = Decompressed(io.BytesIO(head), codec), b""
        # The beginning ends in the middle of a block.
        with suppress(Damage):
            while len(head) < _HEAD_BYTES and (piece := stream.read(_HEAD_BYTES)):
                head += piece
    return spreads(head)


def spreads(head: bytes) -> bool:
    """Whether a text that begins so is an array, or objects that end on other lines than they begin."""
    first, newline, rest = head.removeprefix(BOM).lstrip().partition(b"\n")
    first, rest = first.rstrip(), rest.lstrip()
    if not first.startswith((b"[", b"{")):
        return False
    if first.startswith(b"[") and not (newline and rest and _is_json(first)):
        return True
    # Broken off behind one of these by a printer; a line that was cut off has a record behind it. Of a line
    # that is longer than the beginning the end is not known: it is one of JSON Lines.
    broken = bool(newline) and first.endswith((b"{", b"[", b",", b":"))
    return broken and not (rest.startswith(b"{") and first.endswith((b"{", b",")))


def _is_json(line: bytes) -> bool:
    try:
        ask(orjson.loads, line)
    except Refused:
        return False
    return True


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The records of a file, in order."""
    number, doubts = 0, Doubts(segment.name, intake)
    try:
        with open_stream(segment.path, 0, doubting=True) as stream:
            doubts.begin(stream)
            mark = len(BOM) * stream.peek(len(BOM)).startswith(BOM)  # type: ignore[attr-defined]
            stream.read(mark)
            for value in JsonValues(stream, intake.max_record_bytes):
                number += 1
                intake.consumed += value.length
                record = _record(value, segment.name, number, intake)
                doubts.add(number, mark + value.begin, value.length, record)
                yield record
        doubts.ended()
    except OSError as error:
        only_damage(error, segment.path)
        # Nothing tells where in an array reading may go on.
        yield Unreadable(segment.name, number + 1, Break(error, doubts.broken(error)).reason())


def _record(value: Value, file: str, number: int, intake: Intake) -> Record:
    if value.data is None:
        return Unreadable(file, number, value.reason)
    record = of_object(value.data, file, number, intake)
    lacks = isinstance(record, Unreadable) and "has no field" in record.reason
    if isinstance(record, Unreadable) and lacks and (name := _list_of_records(value.data)):
        reason = f"{record.reason}; its field {name!r} holds a list of objects: make that list the file"
        return Unreadable(file, number, reason)
    return record


def _list_of_records(data: bytes) -> str | None:
    """The first field of an object that holds a list of objects."""
    try:
        fields = ask(orjson.loads, data)
    except Refused:
        return None
    if not isinstance(fields, dict):
        return None
    lists = (name for name, value in fields.items() if isinstance(value, list) and value)
    return next((name for name in lists if isinstance(fields[name][0], dict)), None)
