"""What any loaded index is asked and answers, wherever its codes lie. Knows arrays, and no FAISS."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retriever.index.sizing import IndexKey

# Scores [n, k] and rows [n, k] of n queries, best first; where fewer than k are found, the other rows are -1.
ScoredRows: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Assigned:
    """Queries that are ready to search with: vectors [n, d'], and the lists each probes [n, nprobe]."""

    vectors: NDArray[np.float32]
    nprobe: int
    distances: NDArray[np.float32] | None
    lists: NDArray[np.int64] | None

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> "Assigned":
        """Some of the queries."""
        if self.lists is None or self.distances is None:
            return Assigned(self.vectors[rows], self.nprobe, None, None)
        return Assigned(self.vectors[rows], self.nprobe, self.distances[rows], self.lists[rows])

    def __len__(self) -> int:
        return len(self.vectors)


class CodeIndex(Protocol):
    """A loaded index, wherever it lies: codes that propose rows.

    `selector` makes of rows, a bit each with the lowest first in a byte, what a search takes as `among`; the
    bits must be kept as long.
    """

    key: IndexKey

    @property
    def rows(self) -> int: ...
    @property
    def nlist(self) -> int: ...
    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> Assigned: ...
    def selector(self, rows: NDArray[np.uint8]) -> Any: ...
    def search(self, queries: Assigned, k: int, among: Any | None = None) -> ScoredRows: ...
