"""Peak memory of a build, and what an open store holds in memory for each passage.

    python benchmarks/memory.py build SOURCE... -o STORE [any option of `ralm build`]
    python benchmarks/memory.py store STORE

`build` runs `ralm build` and adds up the proportional set size (PSS: shared pages counted once) of it and all
its children, Ray's own processes included, ten times a second. `store` opens a store, reads every passage key
and 1,000 passages, and divides the anonymous memory that took by the number of passages; memory-mapped
pages are the page cache's and are not counted.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

from datastore.store import Datastore


def pss(process: psutil.Process) -> int:
    """Proportional set size of a process and all its children, in bytes."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue  # It has ended meanwhile.
    return total


def peak_of_build(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "build", *arguments]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command) as build:
        process = psutil.Process(build.pid)
        while build.poll() is None:
            try:
                peak = max(peak, pss(process))
            except psutil.Error:
                break
            time.sleep(0.1)
    print(f"peak memory {peak / 2**20:,.0f} MiB over {time.perf_counter() - started:.0f} s")


def anonymous() -> int:
    """Anonymous memory of this process, in bytes."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell anonymous memory")


def touched(path: Path) -> Datastore:
    """A store, opened, all its keys and 1,000 of its passages read."""
    store = Datastore.open(path)
    for keys in store.shard_keys():
        keys.max()
    for row in random.Random(0).sample(range(store.rows), min(1000, store.rows)):
        store.passage(row)
    return store


def bytes_per_passage(path: Path) -> None:
    # Once for the libraries it imports and the buffers they keep, which no store's size changes.
    touched(path)
    before = anonymous()
    store = touched(path)
    held = anonymous() - before
    print(f"{store.rows:,} passages, {held / 2**20:.2f} MiB held: {held / store.rows:.2f} bytes a passage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["build", "store"])
    args, rest = parser.parse_known_args()
    if args.what == "build":
        peak_of_build(rest)
    else:
        bytes_per_passage(Path(rest[0]))


if __name__ == "__main__":
    main()
