"""Row groups of Parquet files."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.readers.files import for_arrow
from pipelines.readers.formats import Segment
from pipelines.readers.records import Intake, Record, Unreadable, one_line, only_damage


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows of the segment's row groups."""
    number = segment.first_record
    try:
        with for_arrow(segment.path) as opened, pq.ParquetFile(opened) as file:
            end = file.num_row_groups if segment.end < 0 else segment.end
            for group in range(segment.begin, end):
                yield from _group(file, group, number, segment, intake)
                number += file.metadata.row_group(group).num_rows
    except (pa.ArrowException, OSError) as error:
        yield Unreadable(segment.name, number + 1, _reason("file", error, segment))


def _group(
    file: pq.ParquetFile, group: int, number: int, segment: Segment, intake: Intake
) -> Iterator[Record]:
    """The rows of one row group, behind `number` others. Damage in it costs no other group."""
    found = file.metadata.row_group(group)
    try:
        for batch in file.iter_batches(256, row_groups=[group]):
            for row in range(batch.num_rows):
                number += 1
                intake.consumed += found.total_byte_size / found.num_rows
                yield _row(batch, row, segment.name, number, intake)
    except (pa.ArrowException, OSError) as error:
        yield Unreadable(segment.name, number + 1, _reason("row group", error, segment))


def _reason(what: str, error: Exception, segment: Segment) -> str:
    if isinstance(error, OSError):
        only_damage(error, segment.path)
    return f"the Parquet {what} cannot be read from here on ({one_line(error)})"


def _row(batch: pa.RecordBatch, row: int, file: str, number: int, intake: Intake) -> Record:
    try:
        (fields,) = batch.slice(row, 1).to_pylist()
    except (ValueError, OverflowError, KeyError, pa.ArrowException) as error:
        # Invalid UTF-8, a time outside the calendar, an unknown time zone: of this row alone.
        return Unreadable(file, number, f"a value of the row cannot be read ({one_line(error)})")
    return intake.from_fields(fields, file, number)
