"""How many threads a reader takes: as many as cores are free, and one for the next token of a small model.

Every product of a model ends with a wait for its last thread. Beside other jobs that is one whose core was
taken away: an answer of 5 seconds on one thread took 11 to 29 on two. What the environment says
(OMP_NUM_THREADS) is left as it is.

Decisions: docs/decisions/threads.md.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from base.threads import cores, given

# Below so many bytes of weights, times the texts of a batch, a token is over before threads have met.
_LARGE = 1 << 29
# The share of the time that a thread has a core on a machine of its own, at least.
_UNDISTURBED = 0.5


def free_cores(proc: Path = Path("/proc")) -> int:
    """Cores that this process may use and on which no other thread runs just now; at least one."""
    most = cores()
    try:
        running = int((proc / "loadavg").read_text().split()[3].partition("/")[0])
        ours = sum(_runs(task / "stat") for task in (proc / "self" / "task").iterdir())
    except (OSError, ValueError, IndexError):
        return most
    others = max(0, running - ours)
    return max(1, min(most, (os.cpu_count() or 1) - others))


def _runs(stat: Path) -> bool:
    """Whether a thread is running, or waiting for a core."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False  # It has ended.


class Pace:
    """Sees to the threads of the model's next pass, before each."""

    def __init__(self, threads: int, weights: int) -> None:
        """`threads` read the prompt; `weights` are bytes."""
        self._threads = self._most = threads
        self._weights = weights
        self._seen: tuple[float, float] | None = None

    def __call__(self, tokens: int) -> None:
        """Take the threads that a pass over so many tokens is worth."""
        self._take(self._most if self._weights * tokens >= _LARGE else 1)
        before, now = self._seen, (time.thread_time(), time.perf_counter())
        if before is not None and self._threads > 1:
            share = (now[0] - before[0]) / max(1e-9, now[1] - before[1])
            if share < _UNDISTURBED:
                self._most = 1
                self._take(1)
        self._seen = now

    def _take(self, threads: int) -> None:
        if threads != self._threads:
            self._threads = threads
            torch.set_num_threads(threads)


@contextmanager
def paced(weights: int) -> Iterator[Callable[[int], None]]:
    """Generate with a model of so many bytes on the threads that fit.

    Gives what is to be told before each pass how many tokens it reads.
    """
    if given():
        yield lambda tokens: None
        return
    before, threads = torch.get_num_threads(), free_cores()
    torch.set_num_threads(threads)
    try:
        yield Pace(threads, weights)
    finally:
        torch.set_num_threads(before)
