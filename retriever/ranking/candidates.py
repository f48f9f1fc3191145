"""Rows that a search has found, query by query, before there are passages: candidates, then rankings.

Knows arrays alone, so that a search by words needs no FAISS.

Decisions: docs/decisions/searching.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_SCORES = np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of several queries in one view: `rows` [n, width], each query's row ids, ascending.

    Somewhere among them -1 stands for none: queries differ in how many they have. `scores` [n, width] are
    those of the codes, and mean nothing beside a -1; NO_SCORES, if nobody asked for them.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(
        cls, counts: NDArray[np.int64], rows: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> "Candidates":
        """From rows and scores query after query, [sum of counts]: the next `counts[q]` are query q's."""
        return cls(spread(counts, rows, -1), spread(counts, scores, -np.inf))

    def shifted(self, by: int) -> "Candidates":
        """The same candidates in a store with so many more rows before these."""
        return replace(self, rows=shifted(self.rows, by))


def shifted(rows: NDArray[np.int64], by: int) -> NDArray[np.int64]:
    """Rows where so many more come before; -1 stays what it is."""
    return np.where(rows < 0, -1, rows + by)


def spread(counts: NDArray[np.int64], values: NDArray[Any], filler: float) -> NDArray[Any]:
    """Values query after query [sum of counts] as a row for each query [n, width], filled up on the right."""
    there = np.arange(counts.max(initial=0)) < counts[:, None]
    out = np.full(there.shape, filler, values.dtype)
    out[there] = values
    return out


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best rows of each query, best first, of equal scores the lower row: rows and scores [n, k].

    Where a query has fewer than k, the rest of its rows is -1.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, parts: "Sequence[Ranked]") -> "Ranked":
        """The rankings of some queries and of those that come after them."""
        return cls(np.concatenate([p.rows for p in parts]), np.concatenate([p.scores for p in parts]))


def by_codes(found: Candidates, k: int) -> Ranked:
    """The k best candidates by the scores they were proposed with."""
    return best(found.rows, found.scores, k)


def best(rows: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Ranked:
    """The k best of each query's rows [n, width], which ascend but for those that are none (-1)."""
    # Stable: of equal scores the lower row comes first.
    order = np.argsort(np.where(rows < 0, np.inf, -scores), axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(rows, order, axis=1)
    values = np.where(best < 0, -np.inf, np.take_along_axis(scores, order, axis=1))
    return filled_up(best, values, k)


def filled_up(rows: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Ranked:
    """The first k of rows and scores [n, ...]; where there are fewer, -1 and minus infinity."""
    short = k - rows.shape[1]
    if short > 0:
        filler = [(0, 0), (0, short)]
        rows, scores = (
            np.pad(rows, filler, constant_values=-1),
            np.pad(scores, filler, constant_values=-np.inf),
        )
    return Ranked(rows[:, :k], scores[:, :k])
