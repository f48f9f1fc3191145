"""An index's card: what each setting of a search finds, reads and costs, measured after the build.

It stands beside the index, outside every checksum: recall is a property of the store, milliseconds are
one of the machine that measured them.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.layout import Layout, read_json, write_json
from datastore.manifest import Device, Manifest
from datastore.store import Datastore
from retriever.index import SearchIndex, Setting
from retriever.propose import NO_SCORES, Candidates
from retriever.rescore import by_vectors

_log = logging.getLogger(__name__)

# Re-scored vectors a query, from none to what a disk gives in some ten milliseconds.
DEPTHS = (0, 20, 50, 100, 200, 400, 800)
_DEEPEST = 100
_TIMED_QUERIES = 50
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Rung:
    """One setting, measured: recall@10 and @100 against exact search, bytes of vectors read from disk
    pages, and milliseconds of a single query on one thread (median), each for one query.

    Recall@k is the share of the first k hits whose exact score reaches that of the k-th best of all: of
    passages with the same text an exact search may name any, and so may this one.
    """

    nprobe: int
    depth: int
    recall_10: float
    recall_100: float
    bytes_read: int
    milliseconds: float


@dataclass(frozen=True)
class Card:
    """The rungs of an index, on `queries` queries; `index` tells whose card it is."""

    index: str
    rows: int
    queries: int
    rungs: tuple[Rung, ...]

    def setting(self, recall: float, k: int) -> Setting:
        """The quickest setting that reaches a recall at k. Raises RalmError if none does."""
        able = [rung for rung in self.rungs if self._recall(rung, k) >= recall]
        if not able:
            best = max(self._recall(rung, k) for rung in self.rungs)
            raise RalmError(
                f"No setting of this index was measured to reach recall {recall:g} at {k}: its best is "
                f"{best:.3f}. Ask for at most that, or build with a finer --index-key."
            )
        return _setting(min(able, key=lambda rung: rung.milliseconds), k)

    def best(self, k: int) -> Setting:
        """The setting that finds most."""
        return _setting(max(self.rungs, key=lambda rung: (self._recall(rung, k), -rung.milliseconds)), k)

    def measured(self, setting: Setting, k: int) -> float | None:
        """The recall at k that a setting has at least: the best of those that try no harder; None without.

        None, too, for a k beyond those that were measured, unless the index is exact.
        """
        if k > _DEEPEST and any(rung.depth or rung.nprobe for rung in self.rungs):
            return None
        below = (r for r in self.rungs if r.nprobe <= setting.nprobe and r.depth <= setting.depth)
        return max((self._recall(rung, k) for rung in below), default=None)

    @staticmethod
    def _recall(rung: Rung, k: int) -> float:
        # Recall falls slowly with k: the next measured one above stands for those between.
        return rung.recall_10 if k <= 10 else rung.recall_100


def _setting(rung: Rung, k: int) -> Setting:
    if not rung.depth:
        return Setting(rung.nprobe, 0)
    # Beyond what was measured, as many candidates for each hit as at 100.
    return Setting(rung.nprobe, max(rung.depth, k, rung.depth * k // _DEEPEST))


def identity(manifest: Manifest) -> str:
    """Hash of all files an index consists of: tells one store's from another's."""
    return manifest.index_hash


def read_card(layout: Layout, manifest: Manifest) -> Card | None:
    """The card of a store's index, None if it has none. Raises RalmError if it is another index's."""
    path = layout.card(manifest.index.key, manifest.edition)
    if not path.exists():
        return None
    try:
        found = read_json(path)
        card = Card(
            found["index"], found["rows"], found["queries"], tuple(Rung(**rung) for rung in found["rungs"])
        )
    except (RalmError, KeyError, TypeError):
        raise RalmError(f"{path} is not an index card: run `ralm card {layout.root}`.") from None
    if card.index != identity(manifest):
        raise RalmError(
            f"{path} belongs to another index: run `ralm card {layout.root}` to measure this one."
        )
    return card


def usable_card(layout: Layout, manifest: Manifest) -> Card | None:
    """The card of a generation that a reader goes over to, none where it is damaged.

    What that generation took down must not be shown any longer for the sake of a card.
    """
    try:
        return read_card(layout, manifest)
    except RalmError as error:
        _log.warning("Searched without a card: %s", error)
        return None


def write_card(path: Path, card: Card) -> None:
    """Write a card beside its index."""
    write_json(path, asdict(card))


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
        _, milliseconds = _cost(store, index, queries, 0, 0, np.empty((len(queries), 0), np.int64))
        rung = Rung(0, 0, 1.0, 1.0, 0, round(milliseconds, 4))
        return Card(identity(store.manifest), store.rows, len(queries), (rung,))
    best = exact(queries, store.shard_vectors(), min(_DEEPEST, store.rows), device)
    goal = _scores(store, queries, best, _DEEPEST)
    rungs = []
    for nprobe in probes(index.nlist):
        rungs += list(_rungs(store, index, queries, goal, nprobe))
    return Card(identity(store.manifest), store.rows, len(queries), tuple(rungs))


def probes(nlist: int) -> Sequence[int]:
    """Powers of two up to the number of lists; 0 where there are none."""
    return [2**n for n in range(nlist.bit_length()) if 2**n <= nlist] or [0]


def _rungs(
    store: Datastore, index: SearchIndex, queries: NDArray[np.float32], goal: NDArray[np.float32], nprobe: int
) -> Iterable[Rung]:
    """The rungs of so many lists; `goal` [n, k]: the exact scores of each query's best, best first."""
    depths = [d for d in DEPTHS if d <= store.rows]
    assigned = index.assign(queries, nprobe)
    _, rows = index.search(assigned, min(store.rows, max(_DEEPEST, *DEPTHS)))
    for depth in depths:
        # By codes alone the first k are the hits; re-scored, they are the best of the first `depth`.
        hundred = _scores(store, queries, rows, depth or 100)
        ten = hundred if depth else _scores(store, queries, rows, 10)
        read, milliseconds = _cost(store, index, queries, nprobe, depth, rows)
        recalls = _recall(ten, goal, 10), _recall(hundred, goal, 100)
        yield Rung(nprobe, depth, *recalls, read, round(milliseconds, 4))


def _scores(
    store: Datastore, queries: NDArray[np.float32], rows: NDArray[np.int64], depth: int
) -> NDArray[np.float32]:
    """Exact scores of the first `depth` rows found for each query, best first, at most 100: [n, 100]."""
    return by_vectors(store, queries, [_first(rows, depth)], _DEEPEST)[0].scores


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
    nprobe: int,
    depth: int,
    rows: NDArray[np.int64],
) -> tuple[int, float]:
    """Bytes of the disk pages that hold a query's re-scored vectors, and milliseconds a query."""
    width = 2 * store.manifest.encoder.dimension
    pages, seconds = [], []
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    for query, mine in zip(queries[:_TIMED_QUERIES], rows, strict=False):
        started = time.perf_counter()
        index.search(index.assign(query[None], nprobe), max(depth, min(10, store.rows)))
        if depth:
            by_vectors(store, query[None], [_first(mine[None], depth)], 10)
        seconds.append(time.perf_counter() - started)
        starts = mine[:depth][mine[:depth] >= 0] * width
        pages.append(len(np.union1d(starts // _PAGE, (starts + width - 1) // _PAGE)))
    faiss.omp_set_num_threads(before)
    return round(_PAGE * float(np.mean(pages))), 1000 * float(np.median(seconds))
