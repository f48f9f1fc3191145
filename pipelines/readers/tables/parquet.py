"""Row groups of Parquet files."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from base.foreign import Refused, ask
from pipelines.readers.bytes.files import for_arrow
from pipelines.readers.metadata import Lost
from pipelines.readers.records import Intake, Record, Unreadable, failed
from pipelines.readers.segment import Segment
from pipelines.readers.tables.columns import kept, moment, value_of, whole_int96

_BATCH_ROWS = 256


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows of the segment's row groups."""
    try:
        with for_arrow(segment.path) as opened:
            yield from _read(opened, segment, intake)
    except OSError as error:
        raise failed(error, segment.path) from None


def cut(whole: Segment, size: int, split_bytes: int) -> Iterator[tuple[Segment, int]]:
    """Segments of row groups, by the footer of a file of `size` bytes, each with its uncompressed bytes."""
    try:
        with for_arrow(whole.path) as source:
            footer = pq.read_metadata(source)
    except (pa.ArrowInvalid, OSError):
        yield whole, size  # Its read task reports what is wrong with it.
        return
    begin, begin_row, rows, held = 0, 0, 0, 0
    for group in range(footer.num_row_groups):
        rows += footer.row_group(group).num_rows
        held += footer.row_group(group).total_byte_size
        if held >= split_bytes or group == footer.num_row_groups - 1:
            yield replace(whole, begin=begin, end=group + 1, first_record=begin_row), held
            begin, begin_row, held = group + 1, rows, 0


def _read(opened: Any, segment: Segment, intake: Intake) -> Iterator[Record]:
    number = segment.first_record
    try:
        file = _File.open(opened, intake)
    except Refused as error:
        yield Unreadable(segment.name, number + 1, f"the Parquet file cannot be read from here on ({error})")
        return
    with closing(file):
        end = file.whole.num_row_groups if segment.end < 0 else segment.end
        for group in range(segment.begin, end):
            yield from _group(file, group, number, segment, intake)
            number += file.whole.metadata.row_group(group).num_rows


def _group(file: "_File", group: int, number: int, segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows of one row group, behind `number` others. Damage in it costs no other group.

    Where pages have checksums, none is given out that fails its own; pyarrow reads nothing behind one.
    """
    found = file.whole.metadata.row_group(group)
    end = number + found.num_rows
    try:
        for rows in file.batches(group):
            for fields in rows:
                number += 1
                intake.consumed += found.total_byte_size / found.num_rows
                yield intake.from_fields(fields, segment.name, number)
        if number < end:
            # A page whose header is damaged pyarrow may take for one of another kind, and pass over.
            raise Refused("it ends before them")
    except Refused as error:
        reason = f"the Parquet row group cannot be read from here on to record {end:,} ({error})"
        yield Unreadable(segment.name, number + 1, reason)


@dataclass(frozen=True, slots=True)
class _File:
    """An open file, and the columns of it that are read.

    Timestamps of 96 bits are read twice: pyarrow makes nanoseconds of 64 bits of them, or rounds.
    """

    whole: pq.ParquetFile
    columns: list[str] | None
    coarse: pq.ParquetFile | None
    int96: list[str]

    @classmethod
    def open(cls, opened: Any, intake: Intake) -> "_File":
        """Raises Refused if pyarrow cannot read it."""
        whole = ask(pq.ParquetFile, opened, page_checksum_verification=True)
        named = (*intake.source.text_fields, intake.source.id_field, "domain")
        columns = [field.name for field in ask(lambda: whole.schema_arrow) if kept(field, named)]
        leaves = ask(lambda: [whole.schema.column(n) for n in range(len(whole.schema))])
        int96 = [leaf.path for leaf in leaves if leaf.physical_type == "INT96" and leaf.path in columns]
        coarse = None
        if int96:
            options = {"coerce_int96_timestamp_unit": "ms", "page_checksum_verification": True}
            coarse = ask(pq.ParquetFile, opened, **options)
        # Without a single column there would be no rows to count.
        return cls(whole, columns or None, coarse, int96)

    def close(self) -> None:
        self.whole.close()
        if self.coarse is not None:
            self.coarse.close()

    def batches(self, group: int) -> Iterator[Iterator[dict[str, Any]]]:
        """The rows of a row group, some at a time. Raises Refused where it cannot be read on."""
        batches = self.whole.iter_batches(_BATCH_ROWS, row_groups=[group], columns=self.columns)
        others: Iterator[pa.RecordBatch | None] = repeat(None)
        if self.coarse is not None:
            others = self.coarse.iter_batches(_BATCH_ROWS, row_groups=[group], columns=self.int96)
        while (batch := ask(next, batches, None)) is not None:
            yield _rows(batch, ask(next, others))


def _rows(batch: pa.RecordBatch, coarse: pa.RecordBatch | None = None) -> Iterator[dict[str, Any]]:
    """The fields of each row; of columns of one name the first."""
    columns = dict(reversed(list(zip(batch.schema.names, batch.columns, strict=True))))
    again = {} if coarse is None else dict(zip(coarse.schema.names, coarse.columns, strict=True))
    for row in range(batch.num_rows):
        fields = {name: value_of(column[row]) for name, column in columns.items() if name not in again}
        yield fields | {name: _int96(columns[name][row], column[row]) for name, column in again.items()}


def _int96(fine: Any, coarse: Any) -> str | Lost | None:
    if not coarse.is_valid:
        return None
    try:
        return moment(whole_int96(coarse.value, fine.value), "ns")
    except Refused as error:
        return Lost(str(error))
