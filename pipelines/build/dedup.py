"""Exact duplicates across the whole corpus: by identity, then by text.

Hashes are split into partitions by value, so that equal ones meet in one task and no task holds
more than its share. Of equal documents the first in corpus order stays. Identity goes first and
alone: were both decided at once, a document could be dropped for equalling one that is dropped too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from datastore.layout import Layout, Marker, save_array
from pipelines.build.read import load_hashes

# 32 bytes of hash and 16 of position for each document: at most about 800 MB a task.
_DOCUMENTS_PER_PARTITION = 16_000_000

By = Literal["id", "text"]


def partition_count(documents: int) -> int:
    """How many partitions so many documents are compared in."""
    return 1 + documents // _DOCUMENTS_PER_PARTITION


def drops_path(layout: Layout, by: By, partition: int) -> Path:
    """Where a partition's duplicates lie: int64 [duplicates, 4], see `DedupStage`."""
    return layout.work / f"duplicates-{by}" / f"{partition:05d}.npy"


@dataclass(frozen=True)
class DedupStage:
    """Finds the duplicates among the documents whose hash falls into one partition.

    Writes int64 [duplicates, 4]: split and row of the duplicate, split and row of the one kept.
    """

    unit: ClassVar[str] = "documents"
    layout: Layout
    by: By
    documents: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"dedup-{self.by}"

    @property
    def partitions(self) -> int:
        return partition_count(sum(self.documents))

    def sizes(self) -> Sequence[int]:
        return [sum(self.documents) // self.partitions] * self.partitions

    def run(self, number: int) -> Marker:
        hashes, positions = self._gather(number)
        found = duplicates(hashes, positions)
        info = self.layout.write(
            drops_path(self.layout, self.by, number), lambda handle: save_array(handle, found)
        )
        return Marker({"duplicates": len(found)}, (info,))

    def _gather(self, number: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """This partition's hashes [n, 2] and their (split, row) positions [n, 2]."""
        columns = slice(0, 2) if self.by == "id" else slice(2, 4)
        hashes = [np.empty((0, 2), np.uint64)]
        positions = [np.empty((0, 2), np.int64)]
        for split in range(len(self.documents)):
            found = load_hashes(self.layout, split)[:, columns]
            mine = found[:, 0] % np.uint64(self.partitions) == number
            if self.by == "text":
                mine[load_drops(self.layout, "id", split, self.partitions)[:, 1]] = False
            rows = np.flatnonzero(mine)
            hashes.append(found[rows])
            positions.append(np.column_stack([np.full(len(rows), split), rows]))
        return np.concatenate(hashes), np.concatenate(positions)


def duplicates(hashes: NDArray[np.uint64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every row but the first of each group of equal hashes, with the position of that first.

    `hashes` [n, 2] and `positions` [n, 2] (split, row, ascending) -> int64 [duplicates, 4].
    """
    order = np.lexsort((positions[:, 1], positions[:, 0], hashes[:, 1], hashes[:, 0]))
    hashes, positions = hashes[order], positions[order]
    first = np.ones(len(hashes), bool)
    first[1:] = (hashes[1:] != hashes[:-1]).any(axis=1)
    group = np.cumsum(first) - 1
    kept = positions[first][group]
    found = np.column_stack([positions, kept])[~first]
    return found[np.lexsort((found[:, 1], found[:, 0]))].astype(np.int64)


def load_drops(layout: Layout, by: By, split: int, partitions: int) -> NDArray[np.int64]:
    """The duplicates of one split over all partitions, by row: int64 [duplicates, 4]."""
    parts = [np.empty((0, 4), np.int64)]
    for partition in range(partitions):
        found = np.load(drops_path(layout, by, partition), mmap_mode="r")
        begin, end = np.searchsorted(found[:, 0], [split, split + 1])
        parts.append(found[begin:end])
    drops = np.concatenate(parts)
    return drops[np.argsort(drops[:, 1], kind="stable")]
