"""A segment of a source to documents: JSON Lines, Parquet, text, HTML and hub data sets.

Every record comes out as a document or as an `Unreadable` with file, number and reason; a bad one
costs nothing but itself.
"""

import datetime
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datastore.errors import RalmError
from datastore.schema import Document, Scalar
from pipelines.build.decompress import open_compressed
from pipelines.build.files import for_arrow, open_file, size
from pipelines.build.sources import Segment, compression, default_domain, open_hub_dataset
from pipelines.config import SourceConfig

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no document: where it lies (records count from 1) and why."""

    file: str
    record: int
    reason: str


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty line: no record, but counted, so that lines add up."""


Record = Document | Unreadable | Blank


@dataclass
class RecordReader:
    """Reads segments of one source. `consumed` counts the uncompressed bytes read so far."""

    source: SourceConfig
    name: str
    max_record_bytes: int
    consumed: int = 0

    def read(self, segment: Segment) -> Iterator[Record]:
        """Every record of a segment, in order."""
        readers: dict[str, Callable[[Segment], Iterator[Record]]] = {
            "jsonl": self._json_lines,
            "parquet": self._parquet,
            "text": self._text,
            "html": self._html,
            "hf": self._hub,
        }
        return readers[segment.kind](segment)

    def _json_lines(self, segment: Segment) -> Iterator[Record]:
        number = segment.first_record
        try:
            with open_stream(segment.path) as stream:
                skipped = skip_to_line(stream, segment.begin)
                number += skipped > 0
                position = segment.begin + skipped
                while segment.end < 0 or position < segment.end:
                    line, length = bounded_line(stream, self.max_record_bytes)
                    if not length:
                        return
                    position += length
                    self.consumed += length
                    number += 1
                    yield self._json_line(line, length, segment, number)
        except OSError as error:
            _only_damage(error, segment.path)
            # A compressed stream that breaks off: what came before it has been read.
            reason = f"the file breaks off or is damaged after this record ({_one_line(error)})"
            yield Unreadable(segment.name, number + 1, reason)

    def _json_line(self, line: bytes | None, length: int, segment: Segment, number: int) -> Record:
        if line is None:
            reason = f"the record has {length:,} bytes and max_record_bytes allows {self.max_record_bytes:,}"
            return Unreadable(segment.name, number, reason)
        if number == 1:
            line = line.removeprefix(_BOM)
        if not line.strip():
            return Blank()
        try:
            fields = orjson.loads(line.strip())
        except orjson.JSONDecodeError as error:
            return Unreadable(segment.name, number, _json_reason(line, error))
        if not isinstance(fields, dict):
            return Unreadable(segment.name, number, "the record is not a JSON object")
        return self._document(fields, segment.name, number)

    def _document(self, fields: Mapping[str, Any], file: str, number: int) -> Record:
        text_field = next((f for f in self.source.text_fields if f in fields), None)
        if text_field is None:
            wanted = " or ".join(repr(f) for f in self.source.text_fields)
            return Unreadable(file, number, f"the record has no field {wanted}")
        text = fields[text_field]
        if not isinstance(text, str):
            reason = f"the field {text_field!r} holds {type(text).__name__}, not text"
            return Unreadable(file, number, reason)
        stated = fields.get(self.source.id_field)
        if isinstance(stated, dict | list | float | bool):
            reason = f"the field {self.source.id_field!r} holds {type(stated).__name__}, not an id"
            return Unreadable(file, number, reason)
        domain = fields.get("domain")
        if self.source.domain or not isinstance(domain, str) or not domain:
            domain = default_domain(self.source, self.name)
        metadata = {
            name: scalar
            for name, value in fields.items()
            if name not in (text_field, self.source.id_field, "domain")
            and (scalar := _scalar(value)) is not None
        }
        doc_id = f"{file}:{number}" if stated is None or stated == "" else str(stated)
        return self._checked(Document(doc_id, domain, text, metadata), file, number)

    def _checked(self, document: Document, file: str, number: int) -> Record:
        """Refuse what UTF-8 cannot spell: lone surrogates reach us through Parquet and the hub."""
        try:
            for part in (document.id, document.domain, document.text):
                part.encode()
            orjson.dumps(document.metadata)
        except (UnicodeEncodeError, TypeError):
            return Unreadable(file, number, "the record holds characters that are not Unicode")
        return document

    def _parquet(self, segment: Segment) -> Iterator[Record]:
        number = segment.first_record
        try:
            with for_arrow(segment.path) as opened, pq.ParquetFile(opened) as file:
                end = file.num_row_groups if segment.end < 0 else segment.end
                for group in range(segment.begin, end):
                    found = file.metadata.row_group(group)
                    for batch in file.iter_batches(256, row_groups=[group]):
                        self.consumed += found.total_byte_size * batch.num_rows // found.num_rows
                        for row in range(batch.num_rows):
                            number += 1
                            yield self._row(batch, row, segment.name, number)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError):
                _only_damage(error, segment.path)
            reason = f"the Parquet file cannot be read from here on ({_one_line(error)})"
            yield Unreadable(segment.name, number + 1, reason)

    def _row(self, batch: pa.RecordBatch, row: int, file: str, number: int) -> Record:
        try:
            (fields,) = batch.slice(row, 1).to_pylist()
        except (ValueError, OverflowError, KeyError, pa.ArrowException) as error:
            # Invalid UTF-8, a time outside the calendar, an unknown time zone: of this row alone.
            return Unreadable(file, number, f"a value of the row cannot be read ({_one_line(error)})")
        return self._document(fields, file, number)

    def _whole(self, segment: Segment) -> bytes | Unreadable:
        try:
            found = size(segment.path)
            if found > self.max_record_bytes:
                reason = f"the file has {found:,} bytes and max_record_bytes allows {self.max_record_bytes:,}"
                return Unreadable(segment.name, 1, reason)
            self.consumed += found
            with open_file(segment.path) as handle:
                return handle.read()
        except OSError as error:
            raise _failed(error, segment.path) from None

    def _text(self, segment: Segment) -> Iterator[Record]:
        data = self._whole(segment)
        if isinstance(data, Unreadable):
            yield data
            return
        try:
            text = data.removeprefix(_BOM).decode()
        except UnicodeDecodeError as error:
            reason = f"invalid UTF-8 at byte {error.start}: convert the file to UTF-8"
            yield Unreadable(segment.name, 1, reason)
            return
        yield Document(segment.name, default_domain(self.source, self.name), text)

    def _html(self, segment: Segment) -> Iterator[Record]:
        import trafilatura

        data = self._whole(segment)
        if isinstance(data, Unreadable):
            yield data
            return
        text = trafilatura.extract(data, include_comments=False) or trafilatura.html2txt(data)
        if not text:
            yield Unreadable(segment.name, 1, "no text is found in the HTML")
            return
        document = Document(segment.name, default_domain(self.source, self.name), text)
        yield self._checked(document, segment.name, 1)

    def _hub(self, segment: Segment) -> Iterator[Record]:
        dataset = open_hub_dataset(segment.path)
        shard = dataset.shard(num_shards=dataset.num_shards, index=segment.begin)
        # Row numbers are known within a shard only, so the shard is part of a default id.
        file = f"{segment.name}/{segment.begin}"
        try:
            for number, fields in enumerate(shard, 1):
                yield self._document(fields, file, number)
        except (OSError, ValueError, RuntimeError) as error:
            raise RalmError(f"Reading {segment.path} failed: {_one_line(error)}: try again.") from None


def _only_damage(error: OSError, path: str) -> None:
    """Let damaged data pass, and raise what the system could not read: that is no record's fault.

    Marked as done, a split that a node could not reach for a moment would be lost for good.
    """
    if error.errno is not None:
        raise _failed(error, path) from None


def _failed(error: OSError, path: str) -> RalmError:
    return RalmError(
        f"{path} cannot be read ({error.strerror or error}): mend that and run the same command again."
    )


def open_stream(path: str) -> BinaryIO:
    """Open a file for reading bytes, decompressed as its name tells."""
    codec = compression(path)
    if codec is None:
        return open_file(path, _BLOCK)
    return open_compressed(path, codec)


def skip_to_line(stream: BinaryIO, begin: int) -> int:
    """Go to the first line that starts at or after `begin`; return the bytes skipped after `begin`.

    A line belongs to the range in which its first byte lies.
    """
    if not begin:
        return 0
    stream.seek(begin - 1)
    skipped = 0
    while piece := stream.readline(_BLOCK):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped - 1


def bounded_line(stream: BinaryIO, limit: int) -> tuple[bytes | None, int]:
    """Read a line of at most `limit` bytes; of a longer one only its length, in bounded memory."""
    line = stream.readline(limit + 1)
    length = len(line)
    if length <= limit or line.endswith(b"\n"):
        return line, length
    del line
    while piece := stream.readline(_BLOCK):
        length += len(piece)
        if piece.endswith(b"\n"):
            break
    return None, length


def count_newlines(path: str, begin: int, end: int) -> int:
    """Count the newlines among bytes [begin, end) of a file."""
    found = 0
    with open_file(path) as handle:
        handle.seek(begin)
        left = end - begin
        while left > 0 and (block := handle.read(min(left, 8 * _BLOCK))):
            found += block.count(b"\n")
            left -= len(block)
    return found


def _scalar(value: object) -> Scalar:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value if isinstance(value, str | int | bool) else None


def _json_reason(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as found:
        return f"invalid UTF-8 at byte {found.start} of the record"
    return f"invalid JSON: {error.msg} at character {error.pos}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
