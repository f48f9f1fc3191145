"""Ray actors that carry out tasks on a cluster that may lose nodes and gain others, and their calls.

Decisions: docs/decisions/execution.md.
"""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from base.errors import RalmError, Unavailable
from pipelines.execution.stage import Stage, perform
from pipelines.execution.task import Done, Task

# Tasks are tried again this often when their worker dies, or when a machine or a connection is at fault: lost
# nodes, not broken input.
_RETRIES = 3
_START_SECONDS = 120
# How often new room on the cluster is looked for.
_LOOK_SECONDS = 2.0
# How long a worker rests that failed by what may be its machine's fault: twice as long each time in a row. It
# fails faster than others work, and would take all their tasks.
_REST_SECONDS, _MOST_DOUBLINGS = 0.5, 7


class Calls:
    """Tasks that are with a worker now, by Ray's name for the call."""

    def __init__(self) -> None:
        self.running: dict[Any, Task] = {}
        self._workers: dict[Any, tuple[Pool, Any]] = {}
        self._failed = Counter[tuple[str, int]]()
        # Tasks that are to be done again.
        self.again: list[Task] = []
        # A stage travels once, not with each of its tasks.
        self._stages: dict[int, tuple[Stage, Any]] = {}

    def begin(self, task: Task, pool: "Pool", worker: Any) -> None:
        """Have a worker of a pool do a task."""
        import ray

        if id(task.stage) not in self._stages:
            self._stages[id(task.stage)] = (task.stage, ray.put(task.stage))
        call = worker.run.remote(self._stages[id(task.stage)][1], task.number)
        self.running[call], self._workers[call] = task, (pool, worker)

    def after(self, call: Any, done: Done) -> Iterable[Task]:
        """What comes of a task whose call, says Ray, has ended; nothing of one that is to be done again."""
        if call not in self.running:
            return ()  # A new worker has come: its pool finds it when it looks.
        task = self.running[call]
        if self.end(call):
            return done(task)
        self.again.append(task)
        return ()

    def end(self, call: Any) -> bool:
        """Take back the worker of a call that has ended; False if the task must be done again.

        Raises what the task raised, unless a machine may be at fault, and RalmError if that was so too often.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        task, (pool, worker) = self.running.pop(call), self._workers.pop(call)
        try:
            ray.get(call)
        except RayTaskError as error:
            pool.rest(worker)
            self._count(task, _fault(error, task))
            return False
        except RayError:
            # Its process or its node is gone. Another worker does the task.
            pool.lose(worker)
            died = RalmError(
                f"The worker of {task.stage.name} task {task.number} died {_RETRIES + 1} times (out of "
                "memory?): run the same command again, with fewer workers."
            )
            self._count(task, died)
            return False
        pool.give(worker)
        return True

    def _count(self, task: Task, fault: RalmError) -> None:
        """Count that a task was not done. Raises the fault if that has been so too often."""
        name = (task.stage.name, task.number)
        self._failed[name] += 1
        if self._failed[name] > _RETRIES:
            raise fault from None


def _fault(error: Any, task: Task) -> RalmError:
    """What to say if a task goes on failing of what may be its machine's fault. Raises what is not."""
    cause = error.cause
    if isinstance(cause, OSError):
        return Unavailable(
            f"{task.stage.name} task {task.number} failed {_RETRIES + 1} times ({cause}): mend that and run "
            "the same command again."
        )
    if isinstance(cause, Unavailable):
        return cause
    if isinstance(cause, RalmError):
        raise cause from None
    raise error


def first_ended(calls: list[Any]) -> list[Any]:
    """The first of the calls that ends, if one does until the cluster is looked at again."""
    import ray

    if not calls:
        time.sleep(_LOOK_SECONDS)  # Every node is lost: one may come.
        return []
    ready: list[Any] = ray.wait(calls, num_returns=1, timeout=_LOOK_SECONDS)[0]
    return ready


class Pool:
    """Actors on a cluster that may lose nodes and gain others: as many as there is room for."""

    def __init__(self, resource: str, most: int | None, **resources: float) -> None:
        """Start them. Raises RalmError if none comes up."""
        import ray

        self._actor = ray.remote(max_restarts=0, max_task_retries=0, **resources)(_Worker)
        self._resource, self._most = resource, most
        self._idle: list[Any] = []
        self._busy: list[Any] = []
        # Workers that failed, with the time when they are back, and how often in a row.
        self._resting: dict[Any, float] = {}
        self._failed = Counter[Any]()
        self.coming: dict[Any, Any] = {}
        self._looked, self._alone_since = 0.0, time.monotonic()
        if not self._room():
            raise RalmError(
                f"The Ray cluster has no {resource}: add a node that has one, or choose "
                + ("--device cpu." if resource == "GPU" else "--executor local.")
            )
        self.look()
        while not self._idle:
            first_ended(list(self.coming))
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
        self._failed.pop(worker, None)
        self._idle.append(worker)

    def rest(self, worker: Any) -> None:
        """Take a worker back that has failed, and give it nothing for a while."""
        self._busy.remove(worker)
        pause = _REST_SECONDS * 2 ** min(_MOST_DOUBLINGS, self._failed[worker])
        self._failed[worker] += 1
        self._resting[worker] = time.monotonic() + pause

    def lose(self, worker: Any) -> None:
        """Forget a worker that is gone."""
        self._busy.remove(worker)
        self._failed.pop(worker, None)
        # A node takes all its workers with it: the idle ones are asked whether they are there.
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
                self._failed.pop(worker, None)
                continue  # Gone before it had begun, or while it rested.
            # One that has failed comes last.
            self._idle.insert(0 if worker in self._failed else len(self._idle), worker)
        now = time.monotonic()
        for worker in [worker for worker, until in self._resting.items() if until <= now]:
            del self._resting[worker]
            self.coming[worker.ready.remote()] = worker  # If its node is still there.
        if now - self._looked > _LOOK_SECONDS:
            self._looked = now
            held = sum(map(len, (self._idle, self._busy, self._resting, self.coming)))
            for _ in range(self._room() - held):
                worker = self._actor.remote()
                self.coming[worker.ready.remote()] = worker
        if self._idle or self._busy or self._resting:
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
