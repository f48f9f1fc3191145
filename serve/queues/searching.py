"""Where searches wait: those that wait at the same time are searched together.

A batch is what waits when a thread is free: nobody waits for others to come.

Decisions: docs/decisions/serving.md.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Condition, Thread

from base.errors import Busy
from retriever.request import Search
from retriever.results import Seconds
from retriever.retriever import Retriever
from serve.answering.finding import Found, Query
from serve.queues.together import Job, Together

# Queries that may wait: a CPU searches so many in about two seconds.
WAITING = 2048
# Queries of a batch: more of them are searched no quicker, and its first ones wait for its last.
BATCH = 64
# Batches at once: a search that takes seconds does not hold up the others.
WORKERS = 2


class SearchQueue:
    """Searches that wait. `find` is for threads, `found` for the event loop."""

    def __init__(
        self, together: Together | None = None, waiting: int = WAITING, workers: int = WORKERS
    ) -> None:
        """At most `waiting` queries wait: whoever comes beyond them is turned away (Busy)."""
        self.together = together or Together()
        self._most, self._workers = waiting, workers
        self._line: list[Job] = []
        self._waiting = 0
        self._changed = Condition()
        self._started = False

    @property
    def waiting(self) -> int:
        """Queries that wait."""
        return self._waiting

    def find(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
        """What a retriever finds. Raises RalmError for what cannot be answered, Busy where too many wait."""
        return self._put(self.together.job(retriever, queries, search)).result()

    async def found(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
        """As `find`. Whoever is cancelled while it waits is not searched for."""
        return await asyncio.wrap_future(self._put(self.together.job(retriever, queries, search)))

    def _put(self, job: Job) -> "Future[Found]":
        if job.queries and not job.missing:
            job.done(Seconds())
            return job.future
        with self._changed:
            if self._waiting and self._waiting + len(job.queries) > self._most:
                raise Busy(f"{self._waiting} queries wait for the search already: ask again a little later.")
            self._start()
            self._line.append(job)
            self._waiting += len(job.queries)
            self._changed.notify()
        return job.future

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for number in range(self._workers):
                # Daemons: a process that ends does not wait for whoever still waits here.
                Thread(target=self._work, name=f"search-{number}", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._line)
            # No name holds the batch: a thread that waits for the next keeps no generation open.
            self.together.answer(self._taken())

    def _taken(self) -> list[Job]:
        """The oldest, as many as are searched together; none of whoever has left."""
        taken: list[Job] = []
        size = 0
        with self._changed:
            while self._line and (not taken or size + len(self._line[0].queries) <= BATCH):
                job = self._line.pop(0)
                self._waiting -= len(job.queries)
                if not job.future.cancelled():
                    taken.append(job)
                    size += len(job.queries)
        return taken
