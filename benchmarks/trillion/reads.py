"""How long scoring candidates takes whose vectors lie on a disk: float16, read at random, nothing cached."""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from gpu.report import Report
from trillion.drawn import Drawn

DEPTHS, THREADS = (100, 400, 1000), (1, 16, 64)
REPEATS = 9


def time_reads(report: Report, drawn: Drawn, batches: int) -> None:
    """Write so many batches of vectors to a file; score some of them at random, from the disk each time."""
    with tempfile.NamedTemporaryFile() as file:
        started = time.perf_counter()
        for number in range(batches):
            drawn(number).cpu().numpy().tofile(file)
        file.flush()
        os.fsync(file.fileno())
        size = batches * drawn.batch * drawn.dimension * 2
        report.add("Vectors on disk", bytes=size, bytes_a_second=size / (time.perf_counter() - started))
        mapped = np.memmap(file.name, np.float16, "r").reshape(-1, drawn.dimension)
        random = np.random.default_rng(0)
        query = np.array(mapped[0], np.float32)
        for depth in DEPTHS:
            row: dict[str, float] = {}
            for threads in THREADS:
                times = []
                for _ in range(REPEATS):
                    _forget(file.fileno())
                    rows = random.integers(0, len(mapped), depth)
                    started = time.perf_counter()
                    found = _read(Path(file.name), rows, drawn.dimension, threads) @ query
                    times.append(1e3 * (time.perf_counter() - started))
                    assert np.allclose(found, mapped[rows].astype(np.float32) @ query)
                row[f"threads_{threads}"] = float(np.median(times))
            report.add("Reading and scoring from disk (ms)", rows=depth, **row)


def _read(path: Path, rows: np.ndarray, dimension: int, threads: int) -> np.ndarray:
    """Vectors by positioned reads, so many at once: float32 [n, dimension]."""
    out = np.empty((len(rows), dimension), np.float16)
    number = os.open(path, os.O_RDONLY)
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_RANDOM)  # What stands beside a row is not read ahead.

    def some(part: np.ndarray) -> None:
        for place in part:
            os.preadv(number, [out[place]], int(rows[place]) * dimension * 2)

    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, np.array_split(np.arange(len(rows)), threads)))
    finally:
        os.close(number)
    return out.astype(np.float32)


def _forget(number: int) -> None:
    """Drop what the system keeps of a file that is written."""
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
