"""Who carries out a stage's tasks: this process, several, or actors of a Ray cluster. Same bytes from all.

Decisions: docs/decisions/embedding.md, execution.md, object-storage.md.
"""

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from typing import Any, Literal, Protocol

from base.errors import RalmError
from base.threads import cores
from pipelines.execution.actors import Calls, Pool, first_ended
from pipelines.execution.stage import perform
from pipelines.execution.task import Done, Task

ExecutorName = Literal["auto", "ray", "local"]
# Bytes of source that one process embeds in the time that Ray and its workers take to start.
SMALL = 1 << 18

# After a build is stopped, Python's process that frees semaphores warns of them: a user is to read one line.
_NO_LEAKS = "ignore::UserWarning:multiprocessing.resource_tracker"
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
    """Carries out tasks and says which is done. Starts nothing before it is told to, or has a task."""

    def start(self) -> None:
        """Make sure that tasks can be carried out. Raises RalmError if not."""

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        """Carry out the tasks and those that come of them. `in_order`: one after another."""


class LocalExecutor:
    """One task after another, in this process."""

    def start(self) -> None: ...

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        waiting = deque(tasks)
        while waiting:
            task = waiting.popleft()
            task.perform()
            waiting.extend(done(task))


class ProcessExecutor:
    """A fixed pool of this machine's processes, for machines without Ray.

    Tasks for a GPU run in this process: a GPU has one owner.
    """

    def __init__(self, workers: int) -> None:
        if _NO_LEAKS not in sys.warnoptions:
            sys.warnoptions.append(_NO_LEAKS)
        # Spawned: a fork of a process that uses a GPU, or has threads, cannot be relied on.
        self._pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent
        )

    def start(self) -> None: ...

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        if in_order:
            LocalExecutor().run(tasks, done)
            return
        running: dict[Future[None], Task] = {}
        mine, coming = deque[Task](), list(tasks)
        try:
            while coming or mine or running:
                mine.extend(task for task in coming if task.on_gpu)
                with _signals_held():
                    running |= {self._pool.submit(perform, *task): task for task in coming if not task.on_gpu}
                if mine:
                    mine[0].perform()
                ended = wait(running, timeout=0 if mine else None, return_when=FIRST_COMPLETED).done
                for future in ended:
                    future.result()
                finished = [running.pop(future) for future in ended] + ([mine.popleft()] if mine else [])
                coming = [task for one in finished for task in done(one)]
        except BrokenProcessPool:
            stage = next(iter(running.values()), tasks[0]).stage
            raise RalmError(
                f"A worker of {stage.name} died (out of memory?): run the same command again, with fewer "
                "workers."
            ) from None
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End them in the middle of what they do."""
        for process in multiprocessing.active_children():
            process.kill()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Have processes that are started meanwhile take no notice of Ctrl-C, which a terminal sends to all.

    This process hears it and ends them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Let a process of the pool end when the one that started it is killed: it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # Of a pool's process there is one.

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


class RayExecutor:
    """Ray actors, the same for all stages, so that a model is loaded once in each.

    Each takes the next task when it has finished one: a slow task delays nobody. Stages for a GPU have a pool
    of their own, an actor a GPU. Ray is started, unless it runs already, when it is first needed: that takes
    longer than to find out what is wrong with a build.
    """

    def __init__(self, workers: int | None = None, asked_for: bool = True) -> None:
        """`workers`, or one for each CPU of the cluster, also of nodes that join it later.

        What is not `asked_for` leaves small jobs to this process (`fitting`).
        """
        self.asked_for = asked_for or workers is not None
        self._workers = workers
        self._owned = False
        self._on_cpus: Pool | None = None
        self._on_gpus: Pool | None = None

    def start(self) -> None:
        """Connect to Ray. Raises RalmError if that does not work."""
        import ray

        if not ray.is_initialized():
            start_ray(self._workers)
            self._owned = True

    def close(self) -> None:
        """End the Ray that this one has started."""
        if self._owned:
            import ray

            ray.shutdown()

    def _pool_of(self, task: Task) -> "Pool":
        if self._on_cpus is None:
            self.start()
            self._on_cpus = Pool("CPU", self._workers, num_cpus=1)
        if not task.on_gpu:
            return self._on_cpus
        if self._on_gpus is None:
            # Every CPU is taken by the other pool; what a GPU's owner does is to feed it.
            self._on_gpus = Pool("GPU", None, num_cpus=0, num_gpus=1)
        return self._on_gpus

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        calls, waiting = Calls(), dict[Pool, deque[Task]]()
        coming: Iterable[Task] = tasks
        while True:
            for task in coming:
                waiting.setdefault(self._pool_of(task), deque()).append(task)
            if not calls.running and not any(waiting.values()):
                return
            for pool, queue in waiting.items():
                pool.look()
                while queue and not (in_order and calls.running) and (worker := pool.take()) is not None:
                    calls.begin(queue.popleft(), pool, worker)
            ended = first_ended([*calls.running, *(call for pool in waiting for call in pool.coming)])
            coming = [task for call in ended for task in calls.after(call, done)]
            for task in calls.again:
                # In its turn, or last: what it failed of may have passed by then.
                queue = waiting[self._pool_of(task)]
                queue.insert(0 if in_order else len(queue), task)
            calls.again = []


def fitting(executor: Executor, size: int) -> Executor:
    """Who carries out a job that reads so many bytes: this process, if Ray would take longer to start.

    Ray is left out only if it does not run already, and nobody asked for it, for workers or a cluster.
    """
    runs = "ray" in sys.modules and sys.modules["ray"].is_initialized()
    spared = isinstance(executor, RayExecutor) and not (executor.asked_for or runs)
    return LocalExecutor() if spared and size <= SMALL and not os.environ.get("RAY_ADDRESS") else executor


@contextmanager
def open_executor(name: ExecutorName, workers: int | None = None) -> Iterator[Executor]:
    """An executor for the length of a build.

    Ray is the cluster at RAY_ADDRESS, or one of this machine that ends with the build; its workers
    default to the cluster's CPUs. "local" is this process, or as many others as `workers` says. "auto" is
    Ray, but for small jobs (`fitting`).
    """
    if name == "local":
        if (workers or 1) == 1:
            yield LocalExecutor()
            return
        processes = ProcessExecutor(workers or 1)
        try:
            yield processes
        except KeyboardInterrupt:
            processes.kill()
            raise
        finally:
            processes.close()
        return
    on_ray = RayExecutor(workers, asked_for=name == "ray")
    try:
        yield on_ray
    finally:
        on_ray.close()


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
            "num_cpus": workers or cores(),
        }
    )
    on_term = signal.getsignal(signal.SIGTERM)
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
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, on_term)  # Ray has put its own in its place.
