"""Who carries out a stage's tasks: this process, several, or actors of a Ray cluster. Same bytes from all."""

import multiprocessing
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Thread
from typing import Any, Literal, NamedTuple, Protocol

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


class Task(NamedTuple):
    """One task of a stage."""

    stage: Stage
    number: int

    @property
    def on_gpu(self) -> bool:
        return getattr(self.stage, "device", "cpu") != "cpu"

    def perform(self) -> None:
        perform(self.stage, self.number)


# Told of each task that is done; says which tasks may be carried out now because of it.
Done = Callable[[Task], Iterable[Task]]


class Executor(Protocol):
    """Carries out tasks and says which is done."""

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        """Carry out the tasks and those that come of them. `in_order`: one after another."""


class LocalExecutor:
    """One task after another, in this process."""

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
        # Spawned: a fork of a process that uses a GPU, or has threads, cannot be relied on.
        self._pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent
        )

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        if in_order:
            LocalExecutor().run(tasks, done)
            return
        running: dict[Future[None], Task] = {}
        mine, coming = deque[Task](), list(tasks)
        try:
            while coming or mine or running:
                mine.extend(task for task in coming if task.on_gpu)
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
    of their own, an actor a GPU.
    """

    def __init__(self, workers: int | None = None) -> None:
        """`workers`, or one for each CPU of the cluster, also of nodes that join it later."""
        self._on_cpus = _Pool("CPU", workers, num_cpus=1)
        self._on_gpus: _Pool | None = None

    def _pool_of(self, task: Task) -> "_Pool":
        if not task.on_gpu:
            return self._on_cpus
        if self._on_gpus is None:
            # Every CPU is taken by the other pool; what a GPU's owner does is to feed it.
            self._on_gpus = _Pool("GPU", None, num_cpus=0, num_gpus=1)
        return self._on_gpus

    def run(self, tasks: Sequence[Task], done: Done, in_order: bool = False) -> None:
        calls, waiting = _Calls(), dict[_Pool, deque[Task]]()
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
            ended = _ready([*calls.running, *(call for pool in waiting for call in pool.coming)])
            coming = [task for call in ended for task in calls.after(call, done)]


class _Calls:
    """Tasks that are with a worker now, by Ray's name for the call."""

    def __init__(self) -> None:
        self.running: dict[Any, Task] = {}
        self._workers: dict[Any, tuple[_Pool, Any]] = {}
        self._died = Counter[tuple[str, int]]()
        # A stage travels once, not with each of its tasks.
        self._stages: dict[int, tuple[Stage, Any]] = {}

    def begin(self, task: Task, pool: "_Pool", worker: Any) -> None:
        """Have a worker of a pool do a task."""
        import ray

        if id(task.stage) not in self._stages:
            self._stages[id(task.stage)] = (task.stage, ray.put(task.stage))
        call = worker.run.remote(self._stages[id(task.stage)][1], task.number)
        self.running[call], self._workers[call] = task, (pool, worker)

    def after(self, call: Any, done: Done) -> Iterable[Task]:
        """What is to be done when Ray says that a call has ended: what comes of its task, or that again."""
        if call not in self.running:
            return ()  # A new worker has come: its pool finds it when it looks.
        task = self.running[call]
        return done(task) if self.end(call) else (task,)

    def end(self, call: Any) -> bool:
        """Take back the worker of a call that has ended; False if it is gone and the task not done.

        Raises what the task raised, and RalmError for a task of which too many workers have died.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        task, (pool, worker) = self.running.pop(call), self._workers.pop(call)
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
            name = (task.stage.name, task.number)
            self._died[name] += 1
            if self._died[name] > _RETRIES:
                raise RalmError(
                    f"The worker of {task.stage.name} task {task.number} died {_RETRIES + 1} times (out of "
                    "memory?): run the same command again, with fewer workers."
                ) from None
            return False
        pool.give(worker)
        return True


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
