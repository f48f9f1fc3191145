"""Exact duplicates across the whole corpus: by identity, then by text.

Hashes are split into partitions by value, so that equal ones meet in one task and no task holds
more than its share. Of equal documents the first in corpus order stays. Identity goes first and
alone: were both decided at once, a document could be dropped for equalling one that is dropped too.

Decisions: docs/decisions/duplicates.md, generations-and-takedowns.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import save_array
from datastore.shard import open_array
from datastore.takedown import Takedowns
from pipelines.corpus.documents import load_hashes
from pipelines.corpus.ingestion import NOTHING, Held, Ingestion, IngestStage
from pipelines.corpus.read import documents_kept
from pipelines.execution.markers import left_by

# 32 bytes of hash and 16 of position for each document: at most about 800 MB a task.
_DOCUMENTS_PER_PARTITION = 16_000_000

# How documents are found to be duplicates, and what else may be repeated.
By = Literal["id", "text", "near"]
Dropped = By | Literal["passage", "line"]


def partition_count(documents: int) -> int:
    """How many partitions so many documents are compared in."""
    return 1 + documents // _DOCUMENTS_PER_PARTITION


def drops_path(layout: Layout, by: Dropped, partition: int) -> Path:
    """Where a partition's duplicates lie: int64 [duplicates, 4], see `DedupStage`."""
    return layout.work / f"duplicates-{by}" / f"{partition:05d}.npy"


@dataclass(frozen=True)
class DedupStage(IngestStage):
    """Finds the duplicates among the documents whose hash falls into one partition.

    Writes int64 [duplicates, 4]: split and row of the duplicate, split and row of the one kept; a negative
    split is one of the documents that the store held before, which come first.
    """

    unit: ClassVar[str] = "documents"
    by: ClassVar[By]
    layout: Layout
    documents: tuple[int, ...]
    held: Held = NOTHING

    @classmethod
    def of(cls, ingestion: Ingestion) -> Self:
        return cls(ingestion.layout, documents_kept(ingestion), ingestion.held)

    @property
    def partitions(self) -> int:
        return partition_count(sum(self.documents) + self.held.documents)

    def sizes(self) -> Sequence[int]:
        return [sum(self.documents) // self.partitions] * self.partitions

    def run(self, number: int) -> Marker:
        hashes, positions = self._gather(number)
        found = duplicates(hashes, positions)
        found = found[found[:, 0] >= 0]  # Those the store held before were compared when they came.
        info = self.layout.write(
            drops_path(self.layout, self.by, number), lambda handle: save_array(handle, found)
        )
        return Marker({"duplicates": len(found)}, (info,))

    def _gather(self, number: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """This partition's hashes [n, 2] and their (split, row) positions [n, 2]."""
        columns = slice(0, 2) if self.by == "id" else slice(2, 4)
        hashes = [np.empty((0, 2), np.uint64)]
        positions = [np.empty((0, 2), np.int64)]
        gone = Takedowns.read(self.held.takedowns).hashes
        for split, path in enumerate(self.held.hashes, -len(self.held.hashes)):
            found = open_array(path)
            rows = np.flatnonzero(self._mine(found[:, columns], number))
            if self.by == "text":
                # Of what was dropped the text is noted as none.
                rows = rows[found[rows, columns].any(axis=1)]
            # What is taken down is not in the store: another document may have its text.
            rows = rows[~among(found[rows, :2], gone)]
            hashes.append(found[rows, columns])
            positions.append(np.column_stack([np.full(len(rows), split), rows]))
        for split in range(len(self.documents)):
            found = load_hashes(self.layout, split)[:, columns]
            mine = self._mine(found, number)
            if self.by == "text":
                mine[load_drops(self.layout, "id", split, self.partitions)[:, 1]] = False
            rows = np.flatnonzero(mine)
            hashes.append(found[rows])
            positions.append(np.column_stack([np.full(len(rows), split), rows]))
        return np.concatenate(hashes), np.concatenate(positions)

    def _mine(self, hashes: NDArray[np.uint64], number: int) -> NDArray[np.bool_]:
        mine: NDArray[np.bool_] = hashes[:, 0] % np.uint64(self.partitions) == number
        return mine


class DedupIdStage(DedupStage):
    """Finds documents whose domain and id occurred before."""

    name: ClassVar[str] = "dedup-id"
    by: ClassVar[By] = "id"


class DedupTextStage(DedupStage):
    """Finds documents whose text occurred before, among those whose domain and id did not."""

    name: ClassVar[str] = "dedup-text"
    by: ClassVar[By] = "text"

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return ingestion.config.duplicate_text != "keep"


def partitions_compared(ingestion: Ingestion) -> dict[By, int]:
    """In which ways documents are compared, and in how many partitions each: what `load_drops` asks for."""
    exact = DedupIdStage.of(ingestion).partitions
    found: dict[By, int] = {"id": exact}
    if DedupTextStage.asked(ingestion):
        found["text"] = exact
    if ingestion.config.near_duplicates is not None:
        found["near"] = 1  # One task joins them all.
    return found


def among(hashes: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which rows of [n, 2] are among the rows of [m, 2]."""
    maybe = np.flatnonzero(np.isin(hashes[:, 0], wanted[:, 0]))
    out = np.zeros(len(hashes), bool)
    pairs = set(map(tuple, wanted.tolist()))
    out[maybe] = [tuple(pair) in pairs for pair in hashes[maybe].tolist()]
    return out


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


def load_drops(layout: Layout, by: Dropped, split: int, partitions: int) -> NDArray[np.int64]:
    """The duplicates of one split over all partitions, by row: int64 [duplicates, 4]."""
    parts = [np.empty((0, 4), np.int64)]
    for partition in range(partitions):
        path = drops_path(layout, by, partition)
        found = open_array(left_by(layout, partition, path, f"dedup-{by}", f"{by}-cluster"))
        begin, end = np.searchsorted(found[:, 0], [split, split + 1])
        parts.append(np.array(found[begin:end]))  # The file is let go of: there may be very many.
    drops = np.concatenate(parts)
    return drops[np.argsort(drops[:, 1], kind="stable")]
