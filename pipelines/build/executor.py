"""Who carries out a stage's tasks: this process, several, or actors of a Ray cluster. Same bytes from all."""

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from datastore.errors import RalmError
from pipelines.build.stage import Stage, perform

ExecutorName = Literal["ray", "local"]

# Tasks a worker dies of are tried again elsewhere this often: lost nodes, not broken input.
_RETRIES = 3
_START_SECONDS = 120
# How often new room on the cluster is looked for.
_LOOK_SECONDS = 2.0
# Of object storage where it is, not the keys to it: Ray shows a job's environment to whoever asks.
_FOR_WORKERS = (
    "HF_HUB_OFFLINE",
    "HF_HOME",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
)


class Executor(Protocol):
    """Carries out tasks and says which is done."""

    def run(
        self,
        stage: Stage,
        numbers: Sequence[int],
        done: Callable[[int], None],
        in_order: bool = False,
    ) -> None:
        """Carry out the numbered tasks; `done(number)` after each. `in_order`: one after another."""


class LocalExecutor:
    """One task after another, in this process."""

    def run(
        self,
        stage: Stage,
        numbers: Sequence[int],
        done: Callable[[int], None],
        in_order: bool = False,
    ) -> None:
        for number in numbers:
            perform(stage, number)
            done(number)


class ProcessExecutor:
    """A fixed pool of this machine's processes, for machines without Ray.

    Stages for a GPU run in this process: a GPU has one owner.
    """

    def __init__(self, workers: int) -> None:
        # Spawned: a fork of a process that uses a GPU, or has threads, cannot be relied on.
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))

    def run(
        self,
        stage: Stage,
        numbers: Sequence[int],
        done: Callable[[int], None],
        in_order: bool = False,
    ) -> None:
        if in_order or getattr(stage, "device", "cpu") != "cpu":
            LocalExecutor().run(stage, numbers, done)
            return
        running = {self._pool.submit(perform, stage, number): number for number in numbers}
        try:
            for task in as_completed(running):
                task.result()
                done(running[task])
        except BrokenProcessPool:
            raise RalmError(
                f"A worker of {stage.name} died (out of memory?): run the same command again, with fewer "
                "workers."
            ) from None
        finally:
            for task in running:
                task.cancel()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


class RayExecutor:
    """Ray actors, the same for all stages, so that a model is loaded once in each.

    Each takes the next task when it has finished one: a slow task delays nobody. Stages for a GPU have a pool
    of their own, an actor a GPU.
    """

    def __init__(self, workers: int | None = None) -> None:
        """`workers`, or one for each CPU of the cluster, also of nodes that join it later."""
        self._on_cpus = _Pool("CPU", workers, num_cpus=1)
        self._on_gpus: _Pool | None = None

    def _pool_of(self, stage: Stage) -> "_Pool":
        if getattr(stage, "device", "cpu") == "cpu":
            return self._on_cpus
        if self._on_gpus is None:
            # Every CPU is taken by the other pool, which rests meanwhile.
            self._on_gpus = _Pool("GPU", None, num_cpus=0, num_gpus=1)
        return self._on_gpus

    def run(
        self,
        stage: Stage,
        numbers: Sequence[int],
        done: Callable[[int], None],
        in_order: bool = False,
    ) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        shared, pool = ray.put(stage), self._pool_of(stage)
        waiting, died = list(reversed(numbers)), Counter[int]()
        running: dict[Any, tuple[Any, int]] = {}
        while waiting or running:
            pool.look()
            while waiting and (not in_order or not running) and (worker := pool.take()) is not None:
                number = waiting.pop()
                running[worker.run.remote(shared, number)] = (worker, number)
            for call in _ready([*running, *pool.coming]):
                if call not in running:
                    continue  # A new worker: the pool finds it when it looks.
                worker, number = running.pop(call)
                try:
                    ray.get(call)
                except RayTaskError as error:
                    pool.give(worker)
                    if isinstance(error.cause, RalmError):
                        raise error.cause from None
                    raise
                except RayError:
                    # Its process or its node is gone. Another worker does the task.
                    pool.lose(worker)
                    died[number] += 1
                    if died[number] > _RETRIES:
                        raise RalmError(
                            f"The worker of {stage.name} task {number} died {_RETRIES + 1} times (out of "
                            "memory?): run the same command again, with fewer workers."
                        ) from None
                    waiting.append(number)
                    continue
                pool.give(worker)
                done(number)


def _ready(calls: list[Any]) -> list[Any]:
    """The first of the calls that ends, if one does until the cluster is looked at again."""
    import ray

    if not calls:
        time.sleep(_LOOK_SECONDS)  # Every node is lost: one may come.
        return []
    ready: list[Any] = ray.wait(calls, num_returns=1, timeout=_LOOK_SECONDS)[0]
    return ready


class _Pool:
    """Actors on a cluster that may lose nodes and gain others: as many as there is room for."""

    def __init__(self, resource: str, most: int | None, **resources: float) -> None:
        """Start them. Raises RalmError if none comes up."""
        import ray

        self._actor = ray.remote(max_restarts=0, max_task_retries=0, **resources)(_Worker)
        self._resource, self._most = resource, most
        self._idle: list[Any] = []
        self._busy: list[Any] = []
        self.coming: dict[Any, Any] = {}
        self._looked, self._alone_since = 0.0, time.monotonic()
        if not self._room():
            raise RalmError(
                f"The Ray cluster has no {resource}: add a node that has one, or choose "
                + ("--device cpu." if resource == "GPU" else "--executor local.")
            )
        self.look()
        while not self._idle:
            _ready(list(self.coming))
            self.look()

    def _room(self) -> int:
        import ray

        return self._most or int(ray.cluster_resources().get(self._resource, 0))

    def take(self) -> Any | None:
        """A worker that has nothing to do, if there is one."""
        if not self._idle:
            return None
        self._busy.append(self._idle.pop())
        return self._busy[-1]

    def give(self, worker: Any) -> None:
        """Take a worker back."""
        self._busy.remove(worker)
        self._idle.append(worker)

    def lose(self, worker: Any) -> None:
        """Forget a worker that is gone."""
        self._busy.remove(worker)
        # A node takes all its workers with it: those that rest are asked whether they are there.
        self.coming |= {idle.ready.remote(): idle for idle in self._idle}
        self._idle, self._looked = [], 0.0

    def look(self) -> None:
        """Take up workers that have come, and call for as many as the cluster has room for now.

        Raises RalmError if there has been none for a while.
        """
        import ray
        from ray.exceptions import RayError

        ready = ray.wait(list(self.coming), num_returns=len(self.coming), timeout=0)[0] if self.coming else []
        for call in ready:
            worker = self.coming.pop(call)
            try:
                ray.get(call)
            except RayError:
                continue  # Gone before it had begun.
            self._idle.append(worker)
        now = time.monotonic()
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            for _ in range(self._room() - len(self._idle) - len(self._busy) - len(self.coming)):
                worker = self._actor.remote()
                self.coming[worker.ready.remote()] = worker
        if self._idle or self._busy:
            self._alone_since = now
        elif now - self._alone_since > _START_SECONDS:
            raise RalmError(
                f"No Ray worker came up within {_START_SECONDS} seconds: free a {self._resource} of the "
                "cluster, or use --executor local."
            )


class _Worker:
    """What runs in a Ray actor."""

    def ready(self) -> None:
        """Answered once the actor has a place to run."""

    def run(self, stage: Stage, number: int) -> None:
        perform(stage, number)


@contextmanager
def open_executor(name: ExecutorName, workers: int | None = None) -> Iterator[Executor]:
    """An executor for the length of a build.

    Ray is the cluster at RAY_ADDRESS, or one of this machine that ends with the build; its workers
    default to the cluster's CPUs. "local" is this process, or as many others as `workers` says.
    """
    if name == "local":
        if (workers or 1) == 1:
            yield LocalExecutor()
            return
        processes = ProcessExecutor(workers or 1)
        try:
            yield processes
        finally:
            processes.close()
        return
    import ray

    owned = not ray.is_initialized()
    if owned:
        start_ray(workers)
    try:
        yield RayExecutor(workers)
    finally:
        if owned:
            ray.shutdown()


def start_ray(workers: int | None = None) -> None:
    """Connect to the cluster at RAY_ADDRESS, or start one here. Raises RalmError if neither works."""
    import ray

    address = os.environ.get("RAY_ADDRESS")
    # Shards travel through files: the object store carries descriptions of stages only.
    local: dict[str, Any] = (
        {}
        if address
        else {
            "include_dashboard": False,
            "object_store_memory": 200 * 2**20,
            "num_cpus": workers or os.cpu_count(),
        }
    )
    # The driver's environment holds for workers too: which models are at hand must not differ.
    environment = {n: v for n in _FOR_WORKERS if (v := os.environ.get(n))}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"TOKENIZERS_PARALLELISM": "false", **environment}},
            **local,
        )
    except (ConnectionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        where = f"the Ray cluster at {address}" if address else "a local Ray"
        raise RalmError(
            f"{where} cannot be reached ({reason}): check RAY_ADDRESS, or use --executor local."
        ) from None
