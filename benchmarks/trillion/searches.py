"""How quickly a paged index is searched, and what it finds once candidates are scored exactly."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from gpu.report import Report
from trillion.drawn import K, recall
from trillion.filling import Share, best_of_all, exact

from retriever.index.paged.index import PagedIndex

PROBES, DEPTHS = (16, 64, 256), (0, 100, 400, 1000)
# Searches of each batch size that are timed.
REPEATS = {1: 60, 32: 20, 1024: 5}


def measure_recall(
    report: Report, index: PagedIndex, given: Sequence[Share], questions: np.ndarray, depth: int
) -> None:
    """Recall@10 of the codes alone, and of the best of their first candidates scored exactly."""
    probes = [p for p in PROBES if p <= index.nlist]
    rows = np.stack([index.search(index.assign(questions, p), depth)[1] for p in probes])
    started = time.perf_counter()
    scores = exact(given, rows, torch.from_numpy(questions).half())
    report.add("Scoring again by drawing again", rows=rows.size, seconds=time.perf_counter() - started)
    best = best_of_all(given)
    for n, nprobe in enumerate(probes):
        found = {}
        for deep in (d for d in DEPTHS if d <= rows.shape[2]):
            order = np.argsort(-scores[n, :, :deep], axis=1, kind="stable")[:, :K]
            top = np.take_along_axis(rows[n], order, axis=1) if deep else rows[n, :, :K]
            found[f"rescored_{deep}"] = recall(top, best)
        report.add("Recall@10", lists=nprobe, **found)


def time_searches(
    report: Report, index: PagedIndex, questions: np.ndarray, depths: Sequence[int], until: float
) -> None:
    """Milliseconds of choosing lists and of the search, by batch, lists and k."""
    for nprobe in (p for p in PROBES if p <= index.nlist):
        for batch, repeats in REPEATS.items():
            for k in depths:
                if time.perf_counter() > until:
                    return
                chosen, searched = [], []
                for asked in _batches(questions, batch, repeats + 3):
                    started = time.perf_counter()
                    assigned = index.assign(asked, nprobe)
                    chosen.append(time.perf_counter() - started)
                    index.search(assigned, k)
                    searched.append(time.perf_counter() - started - chosen[-1])
                report.add(
                    "Searches (ms)",
                    lists=nprobe,
                    batch=batch,
                    k=k,
                    **_of(chosen, "lists"),
                    **_of(searched, "search"),
                )


def time_views(report: Report, index: PagedIndex, questions: np.ndarray) -> None:
    """Milliseconds of searches in views that keep about a share of the rows; none leaves them."""
    random = np.random.default_rng(0)
    for halvings in (1, 4):
        bits = np.full(-(-index.rows // 8), 255, np.uint8)
        for _ in range(halvings):
            bits &= random.integers(0, 256, len(bits), np.uint8)
        started = time.perf_counter()
        selector = index.selector(bits)
        made = time.perf_counter() - started
        row = {"share": 0.5**halvings, "laid_out_s": made}
        for batch, repeats in ((1, 20), (32, 10)):
            times = []
            for asked in _batches(questions, batch, repeats + 3):
                assigned = index.assign(asked, min(64, index.nlist))
                started = time.perf_counter()
                _, rows = index.search(assigned, 100, selector)
                times.append(time.perf_counter() - started)
                found = rows[rows >= 0]
                assert ((bits[found >> 3] >> (found & 7)) & 1).all()
            row |= _of(times, f"batch_{batch}")
        report.add("Views (ms)", **row)


def _batches(questions: np.ndarray, batch: int, count: int) -> list[np.ndarray]:
    places = [np.arange(n * batch, (n + 1) * batch) % len(questions) for n in range(count)]
    return [np.ascontiguousarray(questions[some]) for some in places]


def _of(times: Sequence[float], name: str) -> dict[str, float]:
    """Median and 99th percentile in milliseconds, without the first three."""
    p50, p99 = np.percentile(np.array(times[3:]) * 1e3, [50, 99])
    return {f"{name}_p50": float(p50), f"{name}_p99": float(p99)}
