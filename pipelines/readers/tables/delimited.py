"""CSV and its kin: a header and rows, the text in one column.

Rows are read one by one, and a bad one costs itself: a quote that is opened and never closed costs the line
that it is in, not the rest of the file. So a row ends where its quotes do, if it then has as many fields as
the header; else it is its first line alone.

Decisions: docs/decisions/readers-and-damage.md.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from base.errors import RalmError
from pipelines.readers.bytes.decompress import Damage
from pipelines.readers.bytes.files import last_part
from pipelines.readers.damage import Break, reading_on
from pipelines.readers.doubts import Doubts
from pipelines.readers.limits import too_large
from pipelines.readers.records import Blank, Intake, Record, Unreadable, failed, one_line
from pipelines.readers.scalars import as_written
from pipelines.readers.segment import Segment
from pipelines.readers.tables.table_lines import Line, Lines, open_table

_DELIMITERS = ",;\t|"
# What Excel writes in front of a header, and wants there.
_STATED = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_SNIFFED_LINES = 20
_SHOWN_COLUMNS = 20
# Of one row: lines that wait take memory however short they are.
_MOST_LINES = 1 << 16
# Rows are bounded by max_record_bytes; the library's own bound is 128 KiB a field.
csv.field_size_limit(2**31 - 1)


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows behind the header, numbered by the line that each begins in."""
    doubts = Doubts(segment.name, intake)
    rows, lines = _Rows(segment, intake, doubts), Lines(intake)

    def rows_from(frame: int) -> Iterator[Record]:
        with _opened(segment.path, frame) as stream:
            doubts.begin(lines.begin(stream))
            yield from rows.of(lines, behind_damage=frame > 0)
        if isinstance(lines.failure, Damage) and not rows.header:
            raise OSError(str(lines.failure))  # No frame behind it tells what the columns are.
        if lines.failure is not None:
            raise lines.failure

    for found in reading_on(segment, doubts, rows_from):
        if isinstance(found, Break):
            lines.number += 1
            yield Unreadable(segment.name, lines.number, found.reason())
        else:
            yield found


def require_text(path: str, intake: Intake) -> None:
    """Raise RalmError if the file has no column that holds a text, with its columns and the mend."""
    rows, lines = _Rows(Segment(path, path, "csv"), intake, Doubts(path, intake)), Lines(intake)
    with _opened(path) as stream:
        lines.begin(stream)
        if refused := rows.begin(lines):
            raise RalmError(f"{path}: {refused.reason}.")


def _opened(path: str, frame: int = 0) -> BinaryIO:
    try:
        return open_table(path, frame)
    except OSError as error:
        raise failed(error, path) from None


@dataclass
class _Rows:
    """The rows of a file, once its header is known."""

    segment: Segment
    intake: Intake
    doubts: Doubts
    header: list[str] = field(default_factory=list)
    delimiter: str = ","
    # Up to this line each is a row of its own: together they made none. So each is looked at twice at most.
    _apart: int = 0
    _may_be_plain: bool = False

    def of(self, lines: Lines, behind_damage: bool) -> Iterator[Record]:
        """What the lines hold."""
        if behind_damage and (line := lines.next()) is not None:
            yield self._refused(line.number, "the row may have begun in what is damaged before it")
        if not self.header:
            if refused := self.begin(lines):
                yield refused
                return
            self.doubts.needed = lines.position
        while (line := lines.next()) is not None:
            record = Blank() if line.blank else self._record(line, lines)
            self.doubts.add(line.number, *lines.span(line), record)
            yield record

    def begin(self, lines: Lines) -> Unreadable | None:
        """Read the header; why the file has none, or none with a text."""
        first: list[Line] = []
        while len(first) < _SNIFFED_LINES and (line := lines.next()) is not None:
            first += [] if line.blank and not first else [line]
        if not first:
            return (
                None if lines.failure else self._refused(1, "the file has no header that names its columns")
            )
        wanted = self.intake.source.text_fields
        texts = [line.text for line in first if line.text is not None]
        if len(first) > 1 and (stated := _STATED.fullmatch(first[0].text or "")):
            self.delimiter, first = stated[1], first[1:]
        else:
            self.delimiter = _sniff(texts, last_part(self.segment.path), wanted)
        lines.put_back(first[1:])
        # Who quotes the names of columns quotes texts.
        self._may_be_plain = self.delimiter == "\t" and not (first[0].text or "").lstrip().startswith('"')
        found = self._fields(first[0], lines)
        if isinstance(found, str):
            return self._refused(first[0].number, f"the header cannot be read: {found}")
        header = _named(found)
        if not any(name in header for name in wanted):
            return self._refused(first[0].number, _no_text(header, wanted))
        self.header = header
        return None

    def _record(self, line: Line, lines: Lines) -> Record:
        """The row that begins with a line."""
        found = self._fields(line, lines, len(self.header))
        if isinstance(found, str):
            return self._refused(line.number, found)
        source = self.intake.source
        as_text = {*source.text_fields, source.id_field, "domain"}
        cells = {name: value for name, value in zip(self.header, found, strict=True) if name and value}
        if not any(name in cells for name in source.text_fields):
            cells |= {name: "" for name in source.text_fields if name in self.header}
        fields = {name: value if name in as_text else as_written(value) for name, value in cells.items()}
        return self.intake.from_fields(fields, self.segment.name, line.number)

    def _refused(self, number: int, reason: str) -> Unreadable:
        return Unreadable(self.segment.name, number, reason)

    def _fields(self, line: Line, lines: Lines, wanted: int | None = None) -> list[str] | str:
        """The fields of the row that begins with a line, or why it is none: then the lines behind it wait."""
        limit = self.intake.max_record_bytes
        if line.text is None:
            return too_large("the record", line.bytes, limit)
        more: list[Line] = []
        text = _together(line, lines if line.number > self._apart else None, more, limit)
        try:
            found = next(csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True))
            reason = _wrong(found, wanted)
        except csv.Error as error:
            found, reason = [], _reason(error)
        if not reason and not (self._may_be_plain and any(_plain(one.text, wanted) for one in more)):
            return found
        if self._may_be_plain and (plain := _plain(line.text, wanted)):
            found, reason = plain, _wrong(plain, wanted)
        if more:
            self._apart = more[-1].number - 1
            lines.put_back(more)
        return reason or found


def _plain(line: str | None, wanted: int | None) -> list[str] | None:
    """The fields of a line between tabs in which quotes are but text, as many as are wanted.

    Tables with tabs are often written without quoting anything, and prose holds none: such a line is a row.
    """
    found = (line or "").rstrip("\r\n").split("\t")
    return found if wanted is not None and wanted == len(found) > 1 else None


def _together(line: Line, lines: Lines | None, more: list[Line], limit: int) -> Iterator[str]:
    """A line and those behind it, as long as more are asked for and they are one record by their size."""
    yield line.text or ""
    held = line.bytes
    while lines and len(more) < _MOST_LINES and (one := lines.next()) is not None:
        more.append(one)
        held += one.bytes
        if one.text is None or held > limit:
            return
        yield one.text


def _wrong(found: list[str], wanted: int | None) -> str:
    """What is wrong with the fields of a row, if anything is. Empty ones behind the last go."""
    while wanted is not None and len(found) > wanted and not found[-1]:
        found.pop()  # Some programs end each line with a delimiter.
    if wanted is not None and len(found) != wanted:
        return (
            f"the row has {len(found):,} fields and the header {wanted:,}: a field that holds the delimiter "
            "or a line end must stand in quotes"
        )
    try:
        "".join(found).encode()
    except UnicodeEncodeError:
        return "invalid UTF-8 in the row: convert the file to UTF-8"
    return ""


def _reason(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened and not closed"
    if "expected after" in str(error):
        return "a quote within quotes is not written twice, or one is opened and not closed"
    return f"the row is no CSV ({one_line(error)})"


def _named(header: list[str]) -> list[str]:
    """The columns' names; of several of one name the first keeps it. A column without one is left out."""
    names: list[str] = []
    taken, numbers = set[str](), Counter[str]()
    for name in (one.strip() for one in header):
        found = name
        while name and found in taken:
            numbers[name] += 1
            found = f"{name}_{numbers[name] + 1}"
        taken.add(found)
        names.append(found)
    return names


def _no_text(header: list[str], wanted: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name[:60]) for name in header[:_SHOWN_COLUMNS])
    more = f" and {len(header) - _SHOWN_COLUMNS:,} more" if len(header) > _SHOWN_COLUMNS else ""
    return (
        f"no column is called {' or '.join(map(repr, wanted))}, the columns are {shown}{more}: name the one "
        "that holds the text by --text-field, or in a configuration by the source's `text_fields: [COLUMN]`"
    )


def _sniff(lines: list[str], name: str, text_fields: tuple[str, ...]) -> str:
    """The delimiter that finds a column of text, or else makes the most even table of the first lines."""

    def rank(delimiter: str) -> tuple[bool, int, int]:
        header, *rows = [*_lenient(lines, delimiter)] or [[]]
        has_text = any(column.strip() in text_fields for column in header)
        even = sum(len(row) == len(header) for row in rows) if len(header) > 1 else 0
        return has_text, even, len(header)

    # Of equals the first: a comma, or what the file's name says.
    return max(
        sorted(_DELIMITERS, key=lambda one: one != "\t") if ".tsv" in name.lower() else _DELIMITERS, key=rank
    )


def _lenient(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from islice(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), _SNIFFED_LINES)
    except csv.Error:
        return
