"""Cores that this process may use, and what its libraries are told of threads before they are loaded.

Decisions: docs/decisions/threads.md.
"""

import os
from contextlib import suppress
from pathlib import Path


def given() -> bool:
    """Whether the environment says how many threads there are."""
    return bool(os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"))


def sleep_soon() -> None:
    """Have threads that wait for others sleep soon, unless the environment says how they wait.

    It is read when PyTorch and FAISS are loaded. The default, 300,000 turns of waiting, is what makes threads
    fight on a busy machine.
    """
    if not os.environ.get("OMP_WAIT_POLICY"):
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def cores(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use: those it may run on, and no more than its quota allows."""
    most = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = (groups / "cpu.max").read_text().split()
        most = min(most, max(1, int(quota) // int(period)))
    return most
