"""Exact re-scoring of candidates from stored vectors.

By FAISS's float16 scanner, which scores a vector the same whatever stands beside it; a matrix product
does not, and numpy takes four times as long to widen float16.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.store import Datastore
from retriever.propose import Candidates

# Vectors held at once, in bytes.
_GATHER_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best rows of each query, best first, of equal scores the lower row: rows and scores [n, k].

    Where a query has fewer than k, the rest of its rows is -1.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


def by_codes(found: Candidates, k: int) -> Ranked:
    """The k best candidates by the scores they were proposed with."""
    out = _empty(found.queries, k)
    bounds = np.concatenate([[0], np.cumsum(found.counts)])
    for query in range(found.queries):
        mine = slice(bounds[query], bounds[query + 1])
        _place(out, query, found.rows[mine], found.scores[mine])
    return out


def by_vectors(
    store: Datastore, queries: NDArray[np.float32], found: Sequence[Candidates], k: int
) -> list[Ranked]:
    """The k best candidates of each view by the inner product of query [n, d] and stored vector.

    A vector that is a candidate in several views is read and scored once.
    """
    width = 2 * store.manifest.encoder.dimension
    if len(found) == 1 and len(found[0].rows) * width <= _GATHER_BYTES:
        (only,) = found
        return [score(queries, only.counts, only.rows, store.vectors(only.rows), k)]
    # A number for each pair of query and row, ascending as both do.
    pairs = [np.repeat(np.arange(len(queries)) * store.rows, one.counts) + one.rows for one in found]
    ordered = np.sort(np.concatenate(pairs))  # `unique` goes by hashes, ten times as slow here.
    distinct = ordered[np.diff(ordered, prepend=-1) > 0]
    exact = np.empty(len(distinct), np.float32)
    owners = distinct // store.rows
    at, room = 0, max(1, _GATHER_BYTES // width)
    while at < len(distinct):
        # Whole queries, as many as fit, at least one.
        last = owners[min(at + room, len(distinct)) - 1]
        end = int(np.searchsorted(owners, last, side="right" if last == owners[at] else "left"))
        end = len(distinct) if at + room >= len(distinct) else end
        mine = slice(at, end)
        numbers, counts = np.unique(owners[mine], return_counts=True)
        exact[mine] = scores(queries[numbers], counts, store.vectors(distinct[mine] % store.rows))
        at = end
    return [
        by_codes(Candidates(one.rows, exact[np.searchsorted(distinct, mine)], one.counts), k)
        for one, mine in zip(found, pairs, strict=True)
    ]


def scores(
    queries: NDArray[np.float32], counts: NDArray[np.int64], vectors: NDArray[np.float16]
) -> NDArray[np.float32]:
    """Scores of each query [n, d] with its own vectors, the next `counts[q]` of [m, d]: float32 [m]."""
    out = np.empty(len(vectors), np.float32)
    index = _lists(queries, counts, np.arange(len(vectors)), vectors)
    found, places = _scan(index, queries, np.arange(len(queries)), int(max(counts, default=0)))
    exists = places >= 0
    out[places[exists]] = found[exists]
    return out


def score(
    queries: NDArray[np.float32],
    counts: NDArray[np.int64],
    rows: NDArray[np.int64],
    vectors: NDArray[np.float16],
    k: int,
) -> Ranked:
    """Score each query [n, d] against its own vectors: the next `counts[q]` of `rows` and `vectors`."""
    out = _empty(len(queries), k)
    if len(queries) == 1:
        _place(out, 0, rows, _scores(queries, vectors))
        return out
    index = _lists(queries, counts, rows, vectors)
    # One more than asked, to see whether the last of them ties with the next.
    values, ids = _scan(index, queries, np.arange(len(queries)), min(k + 1, int(max(counts, default=0))))
    shown = min(k, values.shape[1])
    out.rows[:, :shown], out.scores[:, :shown] = ids[:, :shown], values[:, :shown]
    out.scores[out.rows < 0] = -np.inf
    # FAISS leaves open which of equal scores comes first, and which of them comes last at all.
    tied = np.flatnonzero(((values[:, 1:] == values[:, :-1]) & (ids[:, 1:] >= 0)).any(axis=1))
    for query in tied:
        every, all_ids = _scan(index, queries[query : query + 1], tied[tied == query], int(counts[query]))
        _place(out, int(query), all_ids[0], every[0])
    return out


def _scores(query: NDArray[np.float32], vectors: NDArray[np.float16]) -> NDArray[np.float32]:
    """All scores of one query [1, d], in the vectors' order: quicker than a list where there is only one."""
    out = np.empty(len(vectors), np.float32)
    if len(vectors):
        index = faiss.IndexScalarQuantizer(
            vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        index.add_sa_codes(np.ascontiguousarray(vectors).view(np.uint8))
        scores, at = index.search(query, len(vectors))
        out[at[0]] = scores[0]
    return out


def _lists(
    queries: NDArray[np.float32],
    counts: NDArray[np.int64],
    rows: NDArray[np.int64],
    vectors: NDArray[np.float16],
) -> faiss.IndexIVFScalarQuantizer:
    """An index with one list for each query: its candidates. One call then scores them all."""
    dimension = queries.shape[1]
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        len(queries),
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,
    )
    index.is_trained = True
    rows, codes = np.ascontiguousarray(rows), np.ascontiguousarray(vectors).view(np.uint8)
    at = 0
    for query, count in enumerate(counts.tolist()):
        if count:
            index.invlists.add_entries(
                query, count, faiss.swig_ptr(rows[at:]), faiss.swig_ptr(codes[at:].ravel())
            )
        at += count
    return index


def _scan(
    index: faiss.IndexIVFScalarQuantizer, queries: NDArray[np.float32], lists: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    count = len(queries)
    scores, ids = np.full((count, k), -np.inf, np.float32), np.full((count, k), -1, np.int64)
    if k:
        arrays = [queries, lists[:, None], np.zeros((count, 1), np.float32), scores, ids]
        held = [np.ascontiguousarray(array) for array in arrays]  # Pointers keep nothing alive.
        vectors, assigned, distances, out, out_ids = map(faiss.swig_ptr, held)
        index.search_preassigned_c(count, vectors, k, assigned, distances, out, out_ids, False)
    return scores, ids


def _empty(queries: int, k: int) -> Ranked:
    return Ranked(np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf, np.float32))


def _place(out: Ranked, query: int, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
    order = np.lexsort((rows, -scores))[: out.rows.shape[1]]
    out.rows[query, : len(order)], out.scores[query, : len(order)] = rows[order], scores[order]
