"""Exact re-scoring of candidates from stored vectors.

By FAISS's float16 scanner, which scores a vector the same whatever stands beside it; a matrix product
does not, and numpy takes four times as long to widen float16. The scanner reads each vector where it is
mapped: nothing is gathered or copied.
"""

from collections.abc import Sequence
from ctypes import c_int64
from dataclasses import dataclass
from threading import local
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.store import Datastore
from retriever.propose import Candidates

# Scores that FAISS collects at a time; its own choice asks the system for 3 MB a call.
_COLLECTED = 1024


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best rows of each query, best first, of equal scores the lower row: rows and scores [n, k].

    Where a query has fewer than k, the rest of its rows is -1.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


def by_codes(found: Candidates, k: int) -> Ranked:
    """The k best candidates by the scores they were proposed with."""
    return _best(found.rows, found.scores, found.counts, k)


def by_vectors(
    store: Datastore, queries: NDArray[np.float32], found: Sequence[Candidates], k: int
) -> list[Ranked]:
    """The k best candidates of each view by the inner product of query [n, d] and stored vector.

    A vector that is a candidate in several views is read and scored once.
    """
    if len(found) == 1:
        return [_by_vectors(store, queries, found[0], k)]
    # A number for each pair of query and row, ascending as both do.
    pairs = [np.repeat(np.arange(len(queries)) * store.rows, one.counts) + one.rows for one in found]
    ordered = np.sort(np.concatenate(pairs))  # `unique` goes by hashes, ten times as slow here.
    distinct = ordered[np.diff(ordered, prepend=-1) > 0]
    counts = np.bincount(distinct // store.rows, minlength=len(queries))
    exact = scores(store, queries, counts, distinct % store.rows)
    return [
        _best(one.rows, exact[np.searchsorted(distinct, mine)], one.counts, k)
        for one, mine in zip(found, pairs, strict=True)
    ]


def _by_vectors(store: Datastore, queries: NDArray[np.float32], found: Candidates, k: int) -> Ranked:
    """The k best candidates of one view: FAISS's own heap is quicker than sorting all scores."""
    if not len(found.rows):
        return _filled_up(np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32), k)
    scan = Scan(queries, found.counts, store.addresses(found.rows))
    # One more than asked, to see whether the last of them ties with the next.
    values, places = scan.best(min(k + 1, scan.most))
    full = places.min(initial=0) >= 0
    ties = values[:, 1:] == values[:, :-1]
    if (ties if full else ties & (places[:, 1:] >= 0)).any():
        # FAISS leaves open which of equal scores comes first, and which of them comes last at all.
        return _best(found.rows, scan.scores(), found.counts, k)
    rows = found.rows[places]
    if not full:
        rows[places < 0], values[places < 0] = -1, -np.inf
    return _filled_up(rows, values, k)


def scores(
    store: Datastore, queries: NDArray[np.float32], counts: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Inner products of each query [n, d] with its own stored vectors, the next `counts[q]` of `rows`."""
    return Scan(queries, counts, store.addresses(rows)).scores()


class Scanner(local):
    """A FAISS index of each thread's own, whose lists are single vectors somewhere in memory.

    Made once: that takes as long as scoring some hundreds of them.
    """

    def __init__(self) -> None:
        self._indexes: dict[int, tuple[Any, Any]] = {}
        self._lists: dict[int, NDArray[np.int64]] = {}

    def over(self, addresses: NDArray[np.int64], dimension: int) -> tuple[Any, Any]:
        """The index, with the float16 vector at each address as a list of its own, and its lists.

        FAISS's index does not keep its lists alive: whoever uses it holds both.
        """
        if dimension not in self._indexes:
            self._indexes[dimension], self._lists[dimension] = _empty(dimension), np.ones((0, 3), np.int64)
        index, inverted = self._indexes[dimension]
        if len(addresses) > len(self._lists[dimension]):
            self._lists[dimension] = _single_vectors(inverted, len(addresses))
            index.nlist = inverted.nlist
        # What is left of earlier addresses stands behind these and is probed by nobody.
        self._lists[dimension][: len(addresses), 2] = addresses
        return index, inverted


def _single_vectors(inverted: Any, count: int) -> NDArray[np.int64]:
    """FAISS's own table of so many lists of one vector each: size, capacity and offset [count, 3].

    Offsets from nowhere are addresses. Good until the table grows.
    """
    inverted.lists.resize(count)
    inverted.nlist = count
    start = int(inverted.lists.data().this)
    memory = (c_int64 * (3 * count)).from_address(start)
    table: NDArray[np.int64] = np.ctypeslib.as_array(memory).reshape(count, 3)
    table[:] = 1
    return table


def _empty(dimension: int) -> tuple[Any, Any]:
    """An index of float16 vectors without lists, and where it takes its lists from."""
    inverted = faiss.OnDiskInvertedLists(1, 2 * dimension, "")
    inverted.prefetch_nthread = 0
    kind, metric = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dimension), dimension, 1, kind, metric, False)
    index.is_trained = True
    index.replace_invlists(inverted, False)
    return index, inverted


_SCANNER = Scanner()


class Scan:
    """One FAISS call that scores vectors where they lie in memory: queries [n, d], addresses [m].

    To FAISS each vector is a list of its own in one index, and a query probes `counts[q]` of the lists.
    `most` is the largest of the counts. Good until the same thread makes another one with the same scanner.
    """

    def __init__(
        self,
        queries: NDArray[np.float32],
        counts: NDArray[np.int64],
        addresses: NDArray[np.int64],
        scanner: Scanner = _SCANNER,
    ) -> None:
        self._queries, self._count = np.ascontiguousarray(queries), len(addresses)
        self.most = max(counts.tolist(), default=0)
        self._probed = np.full((len(counts), self.most), -1, np.int64)
        self._probed[np.arange(self.most) < counts[:, None]] = np.arange(self._count)
        self._distances = np.zeros(self._probed.shape, np.float32)
        self._index, self._lists = scanner.over(addresses, queries.shape[1])
        self._index.nprobe = self.most

    def best(self, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k largest inner products of each query [n, k] and the places of their addresses, or -1."""
        shape = len(self._queries), k
        values, found = np.empty(shape, np.float32), np.full(shape, -1, np.int64)
        if k:
            arrays = self._queries, self._probed, self._distances, values, found
            vectors, probed, distances, out, labels = map(faiss.swig_ptr, arrays)
            call = self._index.search_preassigned_c
            call(len(self._queries), vectors, k, probed, distances, out, labels, True)
        return values, found >> 32  # A label is list and place in it; -1 stays what it is.

    def scores(self) -> NDArray[np.float32]:
        """All inner products, in the addresses' order: float32 [m]."""
        if not self._count:
            return np.empty(0, np.float32)
        found = faiss.RangeSearchResult(len(self._queries))
        found.buffer_size = _COLLECTED
        arrays = self._queries, self._probed, self._distances
        vectors, probed, distances = map(faiss.swig_ptr, arrays)
        call = self._index.range_search_preassigned_c
        call(len(self._queries), vectors, -np.inf, probed, distances, found, True)
        collected: NDArray[np.float32] = faiss.rev_swig_ptr(found.distances, self._count).copy()
        return collected


def _best(rows: NDArray[np.int64], scores: NDArray[np.float32], counts: NDArray[np.int64], k: int) -> Ranked:
    """The k best of each query's next `counts[q]` rows, which ascend."""
    width = int(counts.max(initial=0))
    there = np.arange(width) < counts[:, None]
    worst_first = np.full(there.shape, np.inf, np.float32)
    worst_first[there] = -scores
    # Stable: of equal scores the lower row comes first.
    order = np.argsort(worst_first, axis=1, kind="stable")[:, :k]
    exists = order < counts[:, None]
    places = np.where(exists, order + (np.cumsum(counts) - counts)[:, None], 0)
    if not len(rows):
        return _filled_up(order, worst_first, k)
    return _filled_up(np.where(exists, rows[places], -1), np.where(exists, scores[places], -np.inf), k)


def _filled_up(rows: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Ranked:
    """The first k of rows and scores [n, ...]; where there are fewer, -1 and minus infinity."""
    short = k - rows.shape[1]
    if short > 0:
        filler = [(0, 0), (0, short)]
        rows, scores = (
            np.pad(rows, filler, constant_values=-1),
            np.pad(scores, filler, constant_values=-np.inf),
        )
    return Ranked(rows[:, :k], scores[:, :k])
