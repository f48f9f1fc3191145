"""How quickly codes are loaded and searched, on one GPU, on several or on a CPU, and what is found."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import torch
from drawn import Corpus, K, Truth
from report import Report

from retriever.index.code_index import ScoredRows
from retriever.index.gpu import Gpus, GpuSearchIndex
from retriever.index.sizing import IndexKey

CANDIDATES = 1000
DEPTHS = (0, 100, 200, 400, 1000)
PROBES = (16, 64, 256)
# Searches of each batch size that are timed.
REPEATS = {1: 200, 32: 50, 1024: 10}
# Threads that ask one query after another.
THREADS = (1, 4, 16)
_SCORED_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Codes:
    """A trained index, and the codes of shards: the row of the first, and uint8 [n, code size]."""

    trained: Any
    key: IndexKey
    shards: list[tuple[int, np.ndarray]]


@dataclass(frozen=True)
class Queries:
    """Queries float32 [n, dimension] of a corpus, and the exact best rows of each."""

    corpus: Corpus
    queries: torch.Tensor
    truth: Truth


def search(report: Report, asked: Queries, codes: Codes) -> None:
    """Search the codes on one GPU, then on all there are, or on the CPU."""
    queries, probes = asked.queries.cpu().numpy(), [p for p in PROBES if p <= codes.key.nlist]
    found: list[list[ScoredRows]] = []
    for gpus in places(asked.corpus.device):
        where = {"gpus": len(gpus.devices), "gpus_a_copy": gpus.a_copy}
        index = open_index(report, codes, gpus, where)
        time_searches(report, index, queries, 100, where)
        ask_from_threads(report, index, queries, 100, where)
        found.append([index.search(index.assign(queries, n), CANDIDATES) for n in probes])
        del index  # The next needs its memory.
        if len(gpus.devices) > 1:
            pairs = zip(found[0], found[-1], strict=True)
            report.add("Hits on several GPUs", **where, others=sum(other_hits(*pair) for pair in pairs))
    measure_recall(report, asked, probes, np.stack([rows for _, rows in found[0]]))


def places(device: torch.device) -> list[Gpus]:
    """One GPU, then a copy on each, then one that all of them share, as those too large for one are."""
    if device.type != "cuda":
        return [Gpus(())]
    count = torch.cuda.device_count()
    several = [Gpus(range(count), 1), Gpus(range(count), count)]
    return [Gpus(range(1), 1), *(several if count > 1 else [])]


def open_index(report: Report, codes: Codes, gpus: Gpus, where: dict[str, int]) -> Any:
    """Load the codes into the indexes of GPUs, or into a CPU's."""
    for gpu in gpus.devices:
        torch.zeros(1, device=f"cuda:{gpu}")  # What a GPU takes to begin with is not the index's.
    started = time.perf_counter()
    if gpus.devices:
        torch.cuda.empty_cache()
        before = {gpu: torch.cuda.mem_get_info(gpu)[0] for gpu in gpus.devices}
        index: Any = GpuSearchIndex(codes.trained, codes.key, codes.shards, gpus)
        for gpu, free in before.items():
            taken = free - torch.cuda.mem_get_info(gpu)[0]
            report.add("Loading", **where, what=f"bytes on GPU {gpu}", value=taken)
    else:
        from retriever.index.faiss_index import SearchIndex

        for first, part in codes.shards:
            codes.trained.add_sa_codes(np.ascontiguousarray(part), np.arange(first, first + len(part)))
        index = SearchIndex(codes.trained, codes.key)
    took, what = time.perf_counter() - started, "seconds from files to a searchable index"
    report.add("Loading", **where, what=what, value=took)
    return index


def time_searches(report: Report, index: Any, queries: np.ndarray, k: int, where: dict[str, int]) -> None:
    """Milliseconds of a search, its choice of lists included, beside those of FAISS's GPU index alone."""
    for nprobe in (p for p in PROBES if p <= index.nlist):
        for batch, repeats in REPEATS.items():

            def ours(asked: np.ndarray, nprobe: int = nprobe) -> None:
                index.search(index.assign(asked, nprobe), k)

            p50, p99 = percentiles(ours, queries, batch, repeats)
            row = {**where, "nprobe": nprobe, "batch": batch, "k": k, "p50_ms": p50, "p99_ms": p99}
            # Without residuals its own centroids lie at the origin, and it would choose no lists by them.
            if where["gpus"] == 1 and index._ivf.by_residual:
                alone = index._copies[0]._owners[0]._index

                def its(asked: np.ndarray, nprobe: int = nprobe, alone: Any = alone) -> None:
                    alone.search(asked, k, params=faiss.SearchParametersIVF(nprobe=nprobe))

                row["faiss_p50_ms"], _ = percentiles(its, queries, batch, repeats)
            report.add("Searches" if where["gpus"] < 2 else "Searches on several GPUs", **row)


def ask_from_threads(report: Report, index: Any, queries: np.ndarray, k: int, where: dict[str, int]) -> None:
    """Single queries a second, asked by several threads at once as a server does."""

    def ask(query: np.ndarray) -> None:
        index.search(index.assign(query[None], PROBES[1]), k)

    for threads in THREADS:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(ask, queries[:100]))
            started = time.perf_counter()
            list(pool.map(ask, queries))
            rate = len(queries) / (time.perf_counter() - started)
        report.add("Single queries", **where, nprobe=PROBES[1], threads=threads, queries_a_second=rate)


def other_hits(one: ScoredRows, other: ScoredRows) -> int:
    """How many hits of one search another has not, or with another score; ties with the last may differ."""
    (scores, rows), (others, its_rows) = one, other
    same = [np.isin(a, b) | (s == s[-1]) for s, a, b in zip(scores, rows, its_rows, strict=True)]
    return int((~(np.array(same) & (scores == others))).sum())


def percentiles(
    search: Callable[[np.ndarray], None], queries: np.ndarray, batch: int, repeats: int
) -> tuple[float, float]:
    """Median and 99th percentile of a search of a batch, in milliseconds."""
    times = []
    for number in range(repeats + 3):
        asked = np.ascontiguousarray(queries[np.arange(number * batch, (number + 1) * batch) % len(queries)])
        started = time.perf_counter()
        search(asked)
        times.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.percentile(times[3:], [50, 99])
    return float(p50), float(p99)


def exact_scores(corpus: Corpus, queries: torch.Tensor, rows: np.ndarray) -> np.ndarray:
    """Inner products of queries and rows [settings, queries, candidates], from the vectors drawn again."""
    asked = np.broadcast_to(np.arange(rows.shape[1])[None, :, None], rows.shape).ravel()
    order = np.argsort(rows, axis=None, kind="stable")
    ordered = rows.ravel()[order]
    scores = np.full(rows.size, -np.inf, np.float32)
    for first, vectors in corpus.batches():
        start, end = np.searchsorted(ordered, [first, first + len(vectors)])
        for at in range(start, end, _SCORED_AT_ONCE):
            mine = order[at : min(end, at + _SCORED_AT_ONCE)]
            places = torch.from_numpy(rows.ravel()[mine] - first).to(corpus.device)
            whose = torch.from_numpy(asked[mine]).to(corpus.device)
            found = (vectors[places].float() * queries[whose]).sum(1)
            scores[mine] = found.cpu().numpy()
    return scores.reshape(rows.shape)


def measure_recall(report: Report, asked: Queries, probes: list[int], rows: np.ndarray) -> None:
    """Recall@10 of the codes alone, and of the best of their candidates [settings, queries, n] re-scored."""
    scores, exact = exact_scores(asked.corpus, asked.queries, rows), asked.truth.rows.cpu().numpy()
    for number, nprobe in enumerate(probes):
        for depth in (d for d in DEPTHS if d <= rows.shape[2]):
            best = rows[number, :, :K]
            if depth:
                order = np.argsort(-scores[number, :, :depth], axis=1, kind="stable")[:, :K]
                best = np.take_along_axis(rows[number], order, axis=1)
            hits = [len(np.intersect1d(a, b)) / K for a, b in zip(best, exact, strict=True)]
            report.add("Recall", nprobe=nprobe, rescored=depth, recall_10=float(np.mean(hits)))
