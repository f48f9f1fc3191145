"""Searching and reading on an idle machine and on a busy one: threads as the library takes them, and as told.

    python benchmarks/service/threads.py STORE                  (on a machine without other jobs)

A process each searches and reads with threads as the library chooses them, with one (OMP_NUM_THREADS=1), and
with one a core that wait as OpenMP does by itself, which is what PyTorch and FAISS take. They take turns,
alone, then beside as many busy loops as there are cores, which this script starts and ends.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_WORDS = (
    "bridge river school language music island war queen church film station market engine computer law "
    "planet forest painter novel battle harbour museum railway disease metal poet empire flower army disk "
    "network village"
)
QUERIES = [f"what is known of the {word}" for word in _WORDS.split()]
CORES = len(os.sched_getaffinity(0))
CHOICES: dict[str, dict[str, str]] = {
    "the library's": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "one a core": {"OMP_NUM_THREADS": str(CORES), "GOMP_SPINCOUNT": "300000"},
}
_NAMES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def work(store: Path, tokens: int) -> None:
    """Do what is asked for on standard input, a line each, and say how many seconds each took (JSON)."""
    from lm.backends.reader_choice import ReaderChoice
    from lm.backends.registry import open_reader
    from lm.reader import Sampling
    from retriever.local import LocalRetriever
    from retriever.request import DENSE, Search
    from serve.answering.answerer import Answerer

    retriever = LocalRetriever.open(store)
    answerer = Answerer(retriever, open_reader(ReaderChoice()))
    jobs: dict[str, Callable[[], object]] = {
        "32 queries": lambda: retriever.search(QUERIES, Search(10, method=DENSE)),
        "1 query": lambda: retriever.search(QUERIES[:1], Search(10, method=DENSE)),
        "an answer": lambda: answerer.ask(QUERIES[0], sampling=Sampling(max_tokens=tokens)),
    }
    for job in jobs.values():
        job()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = []
        for _ in range(asked["times"]):
            started = time.perf_counter()
            jobs[asked["job"]]()
            seconds.append(time.perf_counter() - started)
        print(json.dumps(statistics.median(seconds)), flush=True)


class Worker:
    """A process that searches and reads with threads as its environment says."""

    def __init__(self, store: Path, tokens: int, settings: dict[str, str]) -> None:
        bare = {name: value for name, value in os.environ.items() if name not in _NAMES}
        command = [sys.executable, __file__, str(store), "--work", "--tokens", str(tokens)]
        self._process = subprocess.Popen(
            command, env=bare | settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        while self._process.stdout.readline().strip() != "ready":
            if self._process.poll() is not None:
                raise SystemExit("A worker ended: see above.")

    def seconds(self, job: str, times: int) -> float:
        """The median of so many runs of a job."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, "times": times}) + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many other jobs, each of which would take a core for itself."""
    # They end with this process, even if it is killed.
    loop = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(10_000))"
    others = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(loops)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=24, help="of each answer, at most")
    parser.add_argument("--loops", type=int, default=CORES, help="busy loops")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(args.store, args.tokens)
        return
    workers = {name: Worker(args.store, args.tokens, settings) for name, settings in CHOICES.items()}
    times = {"32 queries": 10, "1 query": 20, "an answer": 1}
    took: dict[tuple[str, str, bool], list[float]] = {}
    for _ in range(args.rounds):
        for loops in (0, args.loops):
            with busy(loops):
                for job, count in times.items():
                    for name, worker in workers.items():
                        took.setdefault((job, name, loops > 0), []).append(worker.seconds(job, count))
    for worker in workers.values():
        worker.close()
    print(f"{CORES} cores; {args.loops} busy loops; medians of {args.rounds} rounds, milliseconds")
    print(f"{'':12} {'threads':14} {'idle':>10} {'busy':>10} {'busy/idle':>10}")
    for job in times:
        for name in workers:
            idle, loaded = (1000 * statistics.median(took[job, name, state]) for state in (False, True))
            print(f"{job:12} {name:14} {idle:10,.1f} {loaded:10,.1f} {loaded / idle:10.2f}")


if __name__ == "__main__":
    main()
