"""The part of a file that one task reads: how a file is cut into such, and the records of one.

Knows that a format has a reader, and no format itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from pipelines.readers.bytes.endings import compression
from pipelines.readers.formats import FORMATS, Format

if TYPE_CHECKING:
    from pipelines.readers.records import Intake, Record


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a file that one task reads, of most all of it.

    `begin` and `end` count bytes (as the file holds them), or what its format is cut at: row groups, a data
    set's shards. `end` -1 is the file's end. `first_record` is the number of records (lines, rows) before
    `begin`. `kind` is the name of a format.
    """

    path: str
    name: str
    kind: str
    begin: int = 0
    end: int = -1
    first_record: int = 0

    @property
    def in_bytes(self) -> bool:
        """Whether `begin` and `end` are offsets in the file."""
        return bool(FORMATS[self.kind].ranges_in)

    @property
    def in_lines(self) -> bool:
        """Whether it is part of a file whose lines are its records, so that those before it are counted."""
        return FORMATS[self.kind].lines and self.end >= 0

    def records(self, intake: "Intake") -> "Iterator[Record]":
        """Every record of it, in order."""
        found: Iterator[Record] = _loaded(FORMATS[self.kind].read)(self, intake)
        return found


def _loaded(function: str) -> Any:
    return resolve_name(f"{__package__}.{function}")


def require_documents(path: str, found: Format, intake: "Intake") -> None:
    """Raise RalmError if a file that is named itself can give no document, with the mend."""
    if found.require:
        _loaded(found.require)(path, intake)


def told(path: str, found: Format) -> Format:
    """The format that a file has by its beginning, where its name tells of several."""
    return FORMATS[found.instead] if found.unless and _loaded(found.unless)(path) else found


def cut(whole: Segment, size: int, split_bytes: int) -> Iterable[tuple[Segment, int]]:
    """The segments of a file of `size` bytes, and their bytes: about `split_bytes` each, if it can be cut."""
    found = FORMATS[whole.kind]
    if found.cut:
        segments: Iterable[tuple[Segment, int]] = _loaded(found.cut)(whole, size, split_bytes)
        return segments
    if size <= split_bytes or compression(whole.path) not in found.ranges_in:
        return [(whole, size)]
    ends = [(begin, min(begin + split_bytes, size)) for begin in range(0, size, split_bytes)]
    return [(replace(whole, begin=begin, end=end), end - begin) for begin, end in ends]
