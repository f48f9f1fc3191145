"""Who carries out a stage's tasks: this process, several, or actors of a Ray cluster. Same bytes from all."""

import multiprocessing
import os
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
    """A fixed pool of Ray actors, the same for all stages, so that a model is loaded once in each.

    Each takes the next task when it has finished one: a slow task delays nobody. Stages for a GPU have a pool
    of their own, an actor a GPU.
    """

    def __init__(self, workers: int) -> None:
        self._workers = _pool(workers, "a CPU of the cluster", num_cpus=1)
        self._on_gpus: list[Any] = []

    def _pool_of(self, stage: Stage) -> list[Any]:
        import ray

        if getattr(stage, "device", "cpu") == "cpu":
            return self._workers
        if not self._on_gpus:
            count = int(ray.cluster_resources().get("GPU", 0))
            if not count:
                raise RalmError(
                    "The Ray cluster has no GPU: add a node that has one, or choose --device cpu."
                )
            # Every CPU is taken by the other pool, which rests meanwhile.
            self._on_gpus = _pool(count, "a GPU of the cluster", num_cpus=0, num_gpus=1)
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

        shared = ray.put(stage)
        pool = self._pool_of(stage)
        idle = list(pool[:1] if in_order else pool)
        waiting = list(reversed(numbers))
        running: dict[Any, tuple[Any, int]] = {}
        while waiting or running:
            while waiting and idle:
                worker, number = idle.pop(), waiting.pop()
                running[worker.run.remote(shared, number)] = (worker, number)
            ready, _ = ray.wait(list(running), num_returns=1)
            worker, number = running.pop(ready[0])
            try:
                ray.get(ready[0])
            except RayTaskError as error:
                if isinstance(error.cause, RalmError):
                    raise error.cause from None
                raise
            except RayError:
                raise RalmError(
                    f"The worker of {stage.name} task {number} died {_RETRIES + 1} times (out of "
                    "memory?): run the same command again, with fewer workers."
                ) from None
            idle.append(worker)
            done(number)


def _pool(count: int, what: str, **resources: float) -> list[Any]:
    """So many actors, or as many as come up. Raises RalmError if none does."""
    import ray

    actor = ray.remote(max_restarts=-1, max_task_retries=_RETRIES, **resources)(_Worker)
    # A cluster may be busy: who does not come up gets no task, so nothing waits for it later.
    calls = {worker.ready.remote(): worker for worker in [actor.remote() for _ in range(count)]}
    ready, late = ray.wait(list(calls), num_returns=count, timeout=_START_SECONDS)
    for call in late:
        ray.kill(calls[call])
    if not ready:
        raise RalmError(
            f"No Ray worker came up within {_START_SECONDS} seconds: free {what}, or use --executor local."
        )
    return [calls[call] for call in ready]


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
        yield RayExecutor(workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
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
