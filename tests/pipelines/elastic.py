"""A build on a Ray cluster that loses a node and gains one in every stage.

Started as `python -m tests.pipelines.elastic CORPUS STORE`, since a process is in one Ray cluster only;
prints which stages lost a node and on which nodes their tasks were done, as JSON.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.config import NearDuplicates
from pipelines.execution.executor import RayExecutor
from pipelines.execution.task import Task
from tests.conftest import build_store

SMALL = {"object_store_memory": 80 * 2**20}
# What is built, here and undisturbed.
SETTINGS = {
    "split_bytes": 2048,
    "passages_per_shard": 4,
    "index_key": "IVF4,SQ8",
    "near_duplicates": NearDuplicates(words=3),
}


class Faults:
    """Progress of a build that does harm at the first task of every stage that has several."""

    def __init__(self, cluster, nodes):
        self.cluster, self.nodes = cluster, nodes
        self.hit, self.fresh = [], True

    def start(self, stage, unit, total, done):
        self.stage, self.fresh = stage, True

    def advance(self, units):
        if not self.fresh:
            return
        self.fresh = False
        self.hit.append(self.stage)
        if len(self.hit) % 2:
            self.cluster.remove_node(self.nodes.pop(0))
            self.nodes.append(self.cluster.add_node(num_cpus=1, **SMALL))
        else:
            kill_a_worker()

    def finish(self):
        pass


def kill_a_worker():
    """Kill one process that runs tasks of the build, as an out-of-memory killer does."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        try:
            if "ray::_Worker" in " ".join(process.cmdline()):
                process.send_signal(signal.SIGKILL)
                return
        except psutil.Error:
            continue


@dataclass(frozen=True)
class Waiting:
    """A stage whose tasks end when one of them has run on a node that joined after it began."""

    layout: Layout
    known: frozenset[str]
    name = "waiting"
    unit = "tasks"

    def sizes(self):
        return [1] * 6

    def run(self, number):
        import time

        node, sign = ray.get_runtime_context().get_node_id(), self.layout.root / "worked"
        if node not in self.known:
            sign.touch()
        began = time.monotonic()
        while number and not sign.exists():
            if time.monotonic() - began > 100:
                raise RuntimeError("no task was done on the node that joined")
        return Marker({"number": number})


def main(corpus: Path, root: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **SMALL})
    nodes = [cluster.add_node(num_cpus=1, **SMALL) for _ in range(2)]
    environment = {n: os.environ[n] for n in ("PYTHONPATH", "HF_HUB_OFFLINE") if n in os.environ}
    ray.init(
        cluster.address, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": environment}
    )
    faults = Faults(cluster, nodes)
    executor = RayExecutor()
    build_store(root, corpus, executor=executor, progress=faults, **SETTINGS)
    known = frozenset(node.node_id for node in nodes)
    joined = []

    def join(_):
        if not joined:
            joined.append(cluster.add_node(num_cpus=1, **SMALL).node_id)
        return ()

    layout = Layout(root.parent / "waiting")
    layout.root.mkdir()
    stage = Waiting(layout, known)
    executor.run([Task(stage, number) for number in range(6)], join)
    print(json.dumps({"stages": faults.hit, "joined": (layout.root / "worked").exists()}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
