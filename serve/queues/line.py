"""A line of requests and the threads that serve it, a batch at a time each. Knows not what is done for them.

A batch is what waits when a thread is free: nobody waits for others to come.

Decisions: docs/decisions/serving.md.
"""

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

from serve.queues.together import Job


class Line:
    """Requests that wait for one thing, in the order of coming."""

    def __init__(self, name: str, most: int, serve: Callable[[list[Job]], None], batches: int = 1) -> None:
        """`serve` is given batches of at most `most` queries, or of one request; it must not raise.

        It is given so many `batches` at once.
        """
        self._name, self._most, self._serve = name, most, serve
        self._jobs: deque[Job] = deque()
        self._waiting = 0
        self._changed = Condition()
        self._batches = batches
        self._threads: list[Thread] = []

    @property
    def waiting(self) -> int:
        """Queries that wait."""
        return self._waiting

    def put(self, job: Job) -> None:
        """Let a request wait."""
        with self._changed:
            if len(self._threads) < self._batches:
                # A daemon: a process that ends does not wait for whoever still waits here.
                self._threads.append(Thread(target=self._work, name=self._name, daemon=True))
                self._threads[-1].start()
            self._jobs.append(job)
            self._waiting += len(job.queries)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs)
            # No name holds the batch: a thread that waits for the next keeps no generation open.
            if jobs := self._taken():  # Another thread may have taken what waited.
                self._serve(jobs)
            del jobs

    def _taken(self) -> list[Job]:
        """The oldest, as many as are served together; none of whoever has left."""
        taken: list[Job] = []
        size = 0
        with self._changed:
            while self._jobs and (not taken or size + len(self._jobs[0].queries) <= self._most):
                job = self._jobs.popleft()
                self._waiting -= len(job.queries)
                if not job.future.cancelled():
                    taken.append(job)
                    size += len(job.queries)
        return taken
