"""Exact re-scoring of candidates from stored vectors.

By FAISS's float16 scanner, which scores a vector the same whatever stands beside it; a matrix product
does not, and numpy takes four times as long to widen float16. The scanner reads each vector where it is
mapped: nothing is gathered or copied.

Decisions: docs/decisions/encoders.md, searching.md.
"""

from collections.abc import Sequence
from ctypes import c_int64
from threading import local
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.store import Datastore
from retriever.ranking.candidates import Candidates, Ranked, best, filled_up, spread

# Scores that FAISS collects at a time; its own choice asks the system for 3 MB a call.
_COLLECTED = 1024
# Addresses up to which those that are nowhere are listed, too: each takes 24 bytes of a thread's for good,
# and leaving them out takes as long as scoring some hundreds of vectors.
_LISTED = 1 << 16


def by_vectors(
    store: Datastore, queries: NDArray[np.float32], found: Sequence[Candidates], k: int
) -> list[Ranked]:
    """The k best candidates of each view by the inner product of query [n, d] and stored vector.

    A vector that is a candidate in several views is read and scored once.
    """
    if len(found) == 1:
        return [_by_vectors(store, queries, found[0], k)]
    # A number for each pair of query and row, ascending as both do.
    first = np.arange(len(queries))[:, None] * store.rows
    pairs = [(first + one.rows)[one.rows >= 0] for one in found]
    ordered = np.sort(np.concatenate(pairs))  # `unique` goes by hashes, ten times as slow here.
    distinct = ordered[np.diff(ordered, prepend=-1) > 0]
    counts = np.bincount(distinct // store.rows, minlength=len(queries))
    together = spread(counts, distinct % store.rows, -1)
    exact = scores(store, queries, together)[together >= 0]
    ranked = []
    for one, mine in zip(found, pairs, strict=True):
        values = np.full(one.rows.shape, -np.inf, np.float32)
        values[one.rows >= 0] = exact[np.searchsorted(distinct, mine)]
        ranked.append(best(one.rows, values, k))
    return ranked


def _by_vectors(store: Datastore, queries: NDArray[np.float32], found: Candidates, k: int) -> Ranked:
    """The k best candidates of one view: FAISS's own heap is quicker than sorting all scores."""
    flat, shape = found.rows.ravel(), found.rows.shape
    if not len(flat):
        return filled_up(found.rows, np.empty(shape, np.float32), k)
    scan = Scan(queries, store.addresses(flat).reshape(shape))
    # One more than asked, to see whether the last of them ties with the next.
    values, places = scan.best(min(k + 1, shape[1]))
    full = places.min(initial=0) >= 0
    ties = values[:, 1:] == values[:, :-1]
    if (ties if full else ties & (places[:, 1:] >= 0)).any():
        # FAISS leaves open which of equal scores comes first, and which of them comes last at all.
        return best(found.rows, scan.scores(), k)
    rows = flat[places]
    if not full:
        rows[places < 0], values[places < 0] = -1, -np.inf
    return filled_up(rows, values, k)


def scores(store: Datastore, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Inner products of each query [n, d] with its own stored vectors: `rows` [n, width], -1 for none.

    [n, width]; minus infinity where there is none.
    """
    return Scan(queries, store.addresses(rows.ravel()).reshape(rows.shape)).scores()


class VectorScanner(local):
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


_SCANNER = VectorScanner()


class Scan:
    """One FAISS call that scores vectors where they lie in memory: queries [n, d], addresses [n, width].

    To FAISS each vector is a list of its own in one index, and a query probes the lists of its addresses;
    one below 0 is nowhere. Good until the same thread makes another one with the same scanner.
    """

    def __init__(
        self, queries: NDArray[np.float32], addresses: NDArray[np.int64], scanner: VectorScanner = _SCANNER
    ) -> None:
        self._queries = np.ascontiguousarray(queries)
        listed = addresses.ravel()
        self._probed = np.arange(len(listed)).reshape(addresses.shape)
        self._probed[addresses < 0] = -1
        self._places = None
        if len(listed) > _LISTED:
            # Queries differ in how many they have, by thousands where passages repeat.
            self._places = np.flatnonzero(listed >= 0)
            listed = listed[self._places]
            self._probed.flat[self._places] = np.arange(len(listed))
        self._distances = np.zeros(addresses.shape, np.float32)
        self._index, self._lists = scanner.over(listed, queries.shape[1])
        self._index.nprobe = addresses.shape[1]

    def best(self, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k largest inner products of each query and where in all addresses theirs stand: [n, k] each.

        Where a query has fewer, the rest of its places is -1.
        """
        shape = len(self._queries), k
        values, found = np.empty(shape, np.float32), np.full(shape, -1, np.int64)
        if k:
            arrays = self._queries, self._probed, self._distances, values, found
            vectors, probed, distances, out, labels = map(faiss.swig_ptr, arrays)
            call = self._index.search_preassigned_c
            call(len(self._queries), vectors, k, probed, distances, out, labels, True)
        found >>= 32  # A label is list and place in it; -1 stays what it is.
        if self._places is not None:
            found = np.where(found < 0, -1, self._places[found])
        return values, found

    def scores(self) -> NDArray[np.float32]:
        """All inner products: [n, width], minus infinity for addresses that are nowhere."""
        there = self._probed >= 0
        out = np.full(there.shape, -np.inf, np.float32)
        if not there.any():
            return out
        found = faiss.RangeSearchResult(len(self._queries))
        found.buffer_size = _COLLECTED
        arrays = self._queries, self._probed, self._distances
        vectors, probed, distances = map(faiss.swig_ptr, arrays)
        call = self._index.range_search_preassigned_c
        call(len(self._queries), vectors, -np.inf, probed, distances, found, True)
        # Query after query, and of each its lists in the order in which it probes them.
        out[there] = faiss.rev_swig_ptr(found.distances, int(np.count_nonzero(there)))
        return out
