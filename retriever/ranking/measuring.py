"""How an index's card is measured: each setting of a search beside an exhaustive one.

Decisions: docs/decisions/cards.md.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.generations.manifest import Device
from datastore.store import Datastore
from retriever.index.faiss_index import SearchIndex
from retriever.index.threads import one_thread
from retriever.ranking.candidates import NO_SCORES, Candidates
from retriever.ranking.card import MEASURED_HITS, Card, Rung
from retriever.ranking.rescore import by_vectors
from retriever.ranking.setting import Setting

# Re-scored vectors a query, from none to what a disk gives in some ten milliseconds.
DEPTHS = (0, 20, 50, 100, 200, 400, 800)
_TIMED_QUERIES = 50
_PAGE = 4096


def exact(
    queries: NDArray[np.float32], shards: Iterable[NDArray[np.float16]], k: int, device: Device = "cpu"
) -> NDArray[np.int64]:
    """Rows of the k best vectors of each query by exhaustive search: [n, k], best first, -1 where none."""
    heap = faiss.ResultHeap(len(queries), k, keep_max=True)
    nearest = _nearest_on_gpu if device == "cuda" else _nearest
    first = 0
    for vectors in shards:
        scores, rows = nearest(queries, vectors, min(k, len(vectors)))
        heap.add_result(scores, rows + first)
        first += len(vectors)
    heap.finalize()
    found: NDArray[np.int64] = heap.I
    return found


def _nearest(queries: NDArray[np.float32], vectors: NDArray[np.float16], k: int) -> Any:
    return faiss.knn(queries, vectors.astype(np.float32), k, faiss.METRIC_INNER_PRODUCT)


def _nearest_on_gpu(queries: NDArray[np.float32], vectors: NDArray[np.float16], k: int) -> Any:
    import torch

    # Float32 throughout: PyTorch rounds no factor to TF32 unless it is told to.
    there = torch.from_numpy(np.array(vectors)).cuda().float()
    scores, rows = (torch.from_numpy(queries).cuda() @ there.T).topk(k)
    return scores.cpu().numpy(), rows.cpu().numpy()


def measure(
    store: Datastore, index: SearchIndex, queries: NDArray[np.float32], device: Device = "cpu"
) -> Card:
    """Measure the ladder of settings on query vectors: float32 [n, dimension].

    On a GPU only what an exhaustive search finds is found out there; times are those of one CPU thread.
    """
    if index.key.exact:
        # Its scores are the exact ones: there is nothing to find out but how long it takes.
        _, milliseconds = _cost(store, index, queries, Setting(0, 0), np.empty((len(queries), 0), np.int64))
        rung = Rung(0, 0, 1.0, 1.0, 0, round(milliseconds, 4))
        return Card(store.manifest.index_hash, store.rows, len(queries), (rung,))
    best = exact(queries, store.shard_vectors(), min(MEASURED_HITS, store.rows), device)
    goal = _scores(store, queries, best, MEASURED_HITS)
    rungs = []
    for nprobe in probes(index.nlist):
        rungs += list(_rungs(store, index, queries, goal, nprobe))
    return Card(store.manifest.index_hash, store.rows, len(queries), tuple(rungs))


def probes(nlist: int) -> Sequence[int]:
    """Powers of two up to the number of lists; 0 where there are none."""
    return [2**n for n in range(nlist.bit_length()) if 2**n <= nlist] or [0]


def _rungs(
    store: Datastore, index: SearchIndex, queries: NDArray[np.float32], goal: NDArray[np.float32], nprobe: int
) -> Iterable[Rung]:
    """The rungs of so many lists; `goal` [n, k]: the exact scores of each query's best, best first."""
    depths = [d for d in DEPTHS if d <= store.rows]
    assigned = index.assign(queries, nprobe)
    _, rows = index.search(assigned, min(store.rows, max(MEASURED_HITS, *DEPTHS)))
    for depth in depths:
        # By codes alone the first k are the hits; re-scored, they are the best of the first `depth`.
        hundred = _scores(store, queries, rows, depth or 100)
        ten = hundred if depth else _scores(store, queries, rows, 10)
        read, milliseconds = _cost(store, index, queries, Setting(nprobe, depth), rows)
        recalls = _recall(ten, goal, 10), _recall(hundred, goal, 100)
        yield Rung(nprobe, depth, *recalls, read, round(milliseconds, 4))


def _scores(
    store: Datastore, queries: NDArray[np.float32], rows: NDArray[np.int64], depth: int
) -> NDArray[np.float32]:
    """Exact scores of the first `depth` rows found for each query, best first, at most 100: [n, 100]."""
    return by_vectors(store, queries, [_first(rows, depth)], MEASURED_HITS)[0].scores


def _first(rows: NDArray[np.int64], depth: int) -> Candidates:
    """The first `depth` rows found for each query [n, ...], whatever their codes' scores."""
    return Candidates(np.sort(rows[:, :depth], axis=1), NO_SCORES)


def _recall(found: NDArray[np.float32], goal: NDArray[np.float32], k: int) -> float:
    """The share of the k best that was found, by exact scores of both [n, ...]."""
    k = min(k, int(np.isfinite(goal[0]).sum()))
    return round(float((found[:, :k] >= goal[:, k - 1, None]).mean()), 4)


def _cost(
    store: Datastore,
    index: SearchIndex,
    queries: NDArray[np.float32],
    setting: Setting,
    rows: NDArray[np.int64],
) -> tuple[int, float]:
    """Bytes of the disk pages that hold a query's re-scored vectors, and milliseconds a query."""
    nprobe, depth = setting.nprobe, setting.depth
    width = 2 * store.manifest.encoder.dimension
    pages, seconds = [], []
    with one_thread():
        for query, mine in zip(queries[:_TIMED_QUERIES], rows, strict=False):
            started = time.perf_counter()
            index.search(index.assign(query[None], nprobe), max(depth, min(10, store.rows)))
            if depth:
                by_vectors(store, query[None], [_first(mine[None], depth)], 10)
            seconds.append(time.perf_counter() - started)
            starts = mine[:depth][mine[:depth] >= 0] * width
            pages.append(len(np.union1d(starts // _PAGE, (starts + width - 1) // _PAGE)))
    return round(_PAGE * float(np.mean(pages))), 1000 * float(np.median(seconds))
