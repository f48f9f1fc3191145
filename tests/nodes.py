"""Searchers on a Ray cluster of several nodes that lose a process and a node while they are being asked.

Started as `python -m tests.nodes STORE`, since a process is in one Ray cluster only; prints what happened as
JSON.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from retriever.cluster.actors import Searchers
from retriever.cluster.retriever import ClusterRetriever
from tests.vectors import dense

TEXTS = ["which town makes blue glass?", "how is the mayor chosen"]
_LONGEST = 120


def answer(front):
    """What is missing, and the rows found."""
    rankings = front.search(TEXTS, dense(10))
    return rankings[0].missing, tuple(tuple(hit.row for hit in ranking.hits) for ranking in rankings)


def wait_for(seen, missing):
    """Until somebody got an answer with just these shards missing; how long that took, in seconds."""
    started = time.monotonic()
    seen.clear()
    while not any(found[0] == missing for found in list(seen)):
        assert time.monotonic() - started < _LONGEST, f"no answer without {missing}: {list(seen)}"
        time.sleep(0.05)
    return round(time.monotonic() - started, 1)


def pid_of(searcher):
    return ray.get(searcher.__ray_call__.remote(lambda _: os.getpid()))


def node_of(searcher):
    return ray.get(searcher.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id()))


def main(store: Path) -> None:
    small = {"object_store_memory": 80 * 2**20}
    # The head runs no searcher: nodes are lost, not the cluster.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    nodes = {node.node_id: node for node in (cluster.add_node(num_cpus=1, **small) for _ in range(2))}
    environment = {n: os.environ[n] for n in ("PYTHONPATH", "HF_HUB_OFFLINE") if n in os.environ}
    ray.init(
        cluster.address, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": environment}
    )
    front = ClusterRetriever.open(store, Searchers(2, partial=True, patience=5))
    whole = answer(front)
    assert {node_of(searcher) for searcher in front.actors.handles} == set(nodes)
    seen: Counter[object] = Counter()
    every: Counter[object] = Counter()
    errors: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                found = answer(front)
            except Exception as error:  # noqa: BLE001
                errors.append(repr(error))
                continue
            seen[found] += 1
            every[found] += 1

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    times = {"before": wait_for(seen, ())}
    lost = tuple(front.spread.groups[1])
    os.kill(pid_of(front.actors.handles[1]), signal.SIGKILL)
    times["process lost"] = wait_for(seen, lost)
    times["process back"] = wait_for(seen, ())
    lost = tuple(front.spread.groups[0])
    cluster.remove_node(nodes[node_of(front.actors.handles[0])], allow_graceful=False)
    times["node lost"] = wait_for(seen, lost)
    cluster.add_node(num_cpus=1, **small)
    times["on a new node"] = wait_for(seen, ())
    done.set()
    for thread in threads:
        thread.join()
    by_missing: dict[tuple[int, ...], set[object]] = {}
    for missing, rows in every:
        by_missing.setdefault(missing, set()).add(rows)
    report = {
        "seconds": times,
        "answers": sum(every.values()),
        "errors": errors[:3],
        "whole": by_missing[()] == {whole[1]},
        "one answer each": all(len(rows) == 1 for rows in by_missing.values()),
        "missing": sorted(map(list, by_missing)),
        "groups": [list(group) for group in front.spread.groups],
    }
    print(json.dumps(report))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
