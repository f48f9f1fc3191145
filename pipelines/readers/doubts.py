"""Which records came out of compressed data whose checksum fails.

A checksum stands at the end of its frame, so it is compared when the frame's records have been handed on, of
a file of one gzip member all of them. What is remembered of them is the first, the last and their number.

Decisions: docs/decisions/readers-and-damage.md.
"""

import sys
from dataclasses import dataclass

from datastore.schema import Document
from pipelines.readers.bytes.decompress import Decompressed
from pipelines.readers.records import Doubtful, Intake, Record, one_line


@dataclass(slots=True)
class _Range:
    """Records that follow one another (none, if `last` is 0), and the end of the data that they stand in."""

    end: int
    begin: int = 0
    reason: str = ""
    first: int = 0
    last: int = 0
    documents: int = 0

    def add(self, number: int, record: Record) -> None:
        self.first = self.first or number
        self.last = number
        self.documents += isinstance(record, Document)


class Doubts:
    """Follows the records of a file, and lists in its intake those that are doubtful.

    Records are told in order, with the range of decompressed bytes that each was read from. When the stream
    has checked more, all those told before lie in what is checked now: it had given them out already. All
    records hang on what lies before `needed`, as a table's rows on its header.
    """

    def __init__(self, file: str, intake: Intake) -> None:
        self._file, self.intake = file, intake
        self.needed = 0
        self._without = False  # Whether that is damaged.
        self.begin(None)

    def begin(self, stream: object) -> None:
        """Follow a `Decompressed` from its beginning, or what buffers it. Others have nothing to check by."""
        raw = getattr(stream, "raw", stream)
        self._stream = raw if isinstance(raw, Decompressed) else None
        self._checked = 0
        self._open = _Range(0)  # Records that nothing has checked yet.
        self._wrong: _Range | None = None  # Those of frames whose checksum is wrong; then none is open.
        if self._without:
            self._wrong = _Range(sys.maxsize, reason="the file's header, by which they are read, is damaged")

    def add(self, number: int, begin: int, length: int, record: Record) -> None:
        """Tell of a record, read from so many bytes of the stream."""
        if self._stream is None:
            return
        if self._stream.checked != self._checked:
            self._settle(self._stream)
        if self._wrong is not None:
            if begin < self._wrong.end:
                # What was read far ahead is told late, maybe of a frame before.
                if begin + length > self._wrong.begin:
                    self._wrong.add(number, record)
                return
            self._list(self._wrong)
        if begin + length > self._checked:
            self._open.add(number, record)
            self._open.end = begin + length

    def seam(self, begin: int, length: int) -> int:
        """Where within so many bytes of the stream data whose checksum is wrong end; 0 if they do not."""
        if self._stream is not None:
            self._settle(self._stream)
        end = 0 if self._wrong is None else self._wrong.end - begin
        return end if 0 < end < length else 0

    def ended(self) -> None:
        """Tell that the stream has come to its end."""
        if self._stream is not None:
            self._settle(self._stream)
            self._list(self._wrong)

    def broken(self, error: OSError) -> str:
        """Tell that the stream broke off. Returns which records that leaves in doubt, in words."""
        self.ended()
        if self._stream is not None:
            self._without |= self._stream.checked < self.needed
            self.needed = 0
        self._open.reason = f"the data that they stand in are damaged or break off: {one_line(error)}"
        found, self._open = self._open, _Range(0)
        if not found.last:
            return ""
        self._list(found)
        which = f"records {found.first:,} to {found.last:,} stand"
        if found.first == found.last:
            which = f"record {found.first:,} stands"
        return f"; {which} in the same data: doubtful"

    def _settle(self, stream: Decompressed) -> None:
        """Take note of what the stream has checked."""
        self._checked = stream.checked
        for fault in stream.faults:
            if self._wrong is None:
                # Else they stand in a frame before this one, which was right.
                self._wrong = self._open if self._open.end > fault.start else _Range(0)
                self._wrong.begin = fault.start
                self._wrong.reason = f"the data that they stand in are damaged: {fault.reason}"
            self._wrong.end = fault.end if fault.start >= self.needed else sys.maxsize
            self._open = _Range(0)
        stream.faults.clear()
        if self._open.end <= self._checked:
            self._open = _Range(0)

    def _list(self, found: _Range | None) -> None:
        if found is not None and found.last:
            self.intake.doubtful.append(
                Doubtful(self._file, found.first, found.last, found.documents, found.reason)
            )
        self._wrong = None
