"""Row groups of Parquet files."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.readers.files import for_arrow
from pipelines.readers.foreign import Refused, ask
from pipelines.readers.formats import Segment
from pipelines.readers.records import Intake, Record, Unreadable, failed


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows of the segment's row groups."""
    number = segment.first_record
    with for_arrow(segment.path) as opened:
        try:
            file = _ask(segment, pq.ParquetFile, opened)
        except Refused as error:
            yield Unreadable(
                segment.name, number + 1, f"the Parquet file cannot be read from here on ({error})"
            )
            return
        with file:
            end = file.num_row_groups if segment.end < 0 else segment.end
            for group in range(segment.begin, end):
                yield from _group(file, group, number, segment, intake)
                number += file.metadata.row_group(group).num_rows


def _group(
    file: pq.ParquetFile, group: int, number: int, segment: Segment, intake: Intake
) -> Iterator[Record]:
    """The rows of one row group, behind `number` others. Damage in it costs no other group."""
    found = file.metadata.row_group(group)
    batches = file.iter_batches(256, row_groups=[group])
    while True:
        try:
            batch = _ask(segment, next, batches, None)
        except Refused as error:
            reason = f"the Parquet row group cannot be read from here on ({error})"
            yield Unreadable(segment.name, number + 1, reason)
            return
        if batch is None:
            return
        for row in range(batch.num_rows):
            number += 1
            intake.consumed += found.total_byte_size / found.num_rows
            yield _row(batch, row, segment.name, number, intake)


def _ask(segment: Segment, library: Callable[..., Any], *args: Any) -> Any:
    """As `ask`; what the system cannot read is no record's fault."""
    try:
        return ask(library, *args)
    except OSError as error:
        raise failed(error, segment.path) from None


def _row(batch: pa.RecordBatch, row: int, file: str, number: int, intake: Intake) -> Record:
    try:
        (fields,) = ask(batch.slice(row, 1).to_pylist)
    except Refused as error:
        # Invalid UTF-8, a time outside the calendar, an unknown time zone: of this row alone.
        return Unreadable(file, number, f"a value of the row cannot be read ({error})")
    return intake.from_fields(fields, file, number)
