"""Texts that occur twice in a whole corpus, passages or lines: the first in corpus order stays.

Every split's hashes lie sorted in a file, so that a range of their values is one stretch of each: equal ones
meet in one task, which reads and holds no more than its range.

Decisions: docs/decisions/duplicates.md.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, save_array
from datastore.shard import open_array
from datastore.takedown import Takedowns
from pipelines.corpus.ingestion import NOTHING, Held, IngestStage
from pipelines.duplicates.dedup import among, drops_path, duplicates
from pipelines.execution.markers import left_by

# 16 bytes of hash and 16 of place for each text, and as much again to sort them: about 1 GB a task.
_TEXTS_PER_RANGE = 16_000_000

What = Literal["passage", "line"]


def texts_path(layout: Layout, what: What, split: int) -> Path:
    """Where the hashes of a split's texts lie: uint64 [texts, 3], high and low half and place, ascending."""
    return layout.work / f"{what}-hashes" / f"{split:05d}.npy"


def load_texts(layout: Layout, what: What, split: int) -> NDArray[np.uint64]:
    """The hashes of a split's texts, memory-mapped. Raises RalmError if they are not what was written."""
    path = texts_path(layout, what, split)
    return open_array(left_by(layout, split, path, "lines" if what == "line" else "chunk"))


def write_texts(layout: Layout, what: What, split: int, hashes: "array[int]") -> FileInfo:
    """Write the hashes of a split's texts: of each high and low half, and its place in the split."""
    rows = np.frombuffer(hashes, np.uint64).reshape(-1, 3)
    return write_sorted(layout, texts_path(layout, what, split), rows)


def write_sorted(layout: Layout, path: Path, rows: NDArray[np.uint64]) -> FileInfo:
    """Write rows [n, columns] in the order of their columns."""
    ordered = rows[np.lexsort(rows.T[::-1])]
    return layout.write(path, lambda handle: save_array(handle, ordered))


@dataclass(frozen=True)
class RepeatStage(IngestStage):
    """Finds the texts that occurred before, in one range of hashes.

    Writes what `DedupStage` writes: int64 [repeats, 4], split and place of the repeat and of the first; a
    negative split is what the store held before.
    """

    what: ClassVar[What]
    layout: Layout
    texts: tuple[int, ...]
    held: Held = NOTHING

    @property
    def ranges(self) -> int:
        return 1 + (sum(self.texts) + self._known[1]) // _TEXTS_PER_RANGE

    @property
    def _known(self) -> tuple[tuple[Path, ...], int]:
        """Hashes of what the store held before, and how many."""
        held = self.held
        by_what: dict[What, tuple[tuple[Path, ...], int]] = {
            "passage": (held.passage_hashes, held.passages),
            "line": (held.line_hashes, held.lines),
        }
        return by_what[self.what]

    def sizes(self) -> Sequence[int]:
        return [sum(self.texts) // self.ranges] * self.ranges

    def run(self, number: int) -> Marker:
        gone = Takedowns.read(self.held.takedowns).hashes
        hashes, places = [np.empty((0, 2), np.uint64)], [np.empty((0, 2), np.int64)]
        known, _ = self._known
        for split, path in enumerate(known, -len(known)):
            found = self._stretch(open_array(path), number)
            # What is taken down is not in the store: another document may have its text.
            found = found[~among(found[:, 2:], gone)]
            hashes.append(found[:, :2])
            places.append(np.column_stack([np.full(len(found), split), np.arange(len(found))]))
        for split in range(len(self.texts)):
            found = self._stretch(load_texts(self.layout, self.what, split), number)
            hashes.append(found[:, :2])
            places.append(np.column_stack([np.full(len(found), split), found[:, 2].astype(np.int64)]))
        repeats = duplicates(np.concatenate(hashes), np.concatenate(places))
        repeats = repeats[repeats[:, 0] >= 0]
        path = drops_path(self.layout, self.what, number)
        info = self.layout.write(path, lambda handle: save_array(handle, repeats))
        return Marker({"repeats": len(repeats)}, (info,))

    def _stretch(self, found: NDArray[np.uint64], number: int) -> NDArray[np.uint64]:
        """The rows of a file whose hash is in this range."""
        # Widened: the end of the last range is 2^64.
        begin, end = (at * 2**64 // self.ranges for at in (number, number + 1))
        first = int(np.searchsorted(found[:, 0], np.uint64(begin)))
        last = int(np.searchsorted(found[:, 0], np.uint64(end))) if end < 2**64 else len(found)
        return np.array(found[first:last])  # The file is let go of: there may be very many.
