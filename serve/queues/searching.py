"""Where searches wait: those that wait at the same time are encoded together, and searched together.

One thread encodes while another one searches, unless replicas of both elsewhere can take several batches at
once. Searches that take long have threads of their own.

Decisions: docs/decisions/serving.md.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from base.errors import Busy
from retriever.request import Search
from retriever.retriever import Retriever
from serve.answering.finding import Found, Query
from serve.answering.limits import Limits
from serve.queues.line import Line
from serve.queues.together import Job, Together

# Queries that may wait: a CPU searches so many in a few seconds.
WAITING = 2048
# Queries of a batch: more of them are served no quicker, and its first ones wait for its last.
BATCH = 64
# Hits of a search that takes long.
_MANY_HITS = 1000


class SearchQueue:
    """Searches that wait. `find` is for threads, `found` for the event loop."""

    def __init__(self, together: Together | None = None, waiting: int = WAITING, batches: int = 1) -> None:
        """At most `waiting` queries wait: whoever comes beyond them is turned away (Busy).

        So many `batches` are encoded, and as many searched, at once.
        """
        self.together = together or Together()
        self._most = waiting
        # What one request may ask for.
        self.limits = Limits()
        # Told of each batch, by the name of its line and its size, and of what each request was given.
        self.batched: Callable[[str, int], None] = lambda *_: None
        self.answered: Callable[[Found], None] = lambda _: None
        self._encoding = Line("encode", BATCH, self._encode, batches)
        self._quick = Line("search", BATCH, partial(self._look, "search"), batches)
        self._long = Line("long-search", BATCH, partial(self._look, "long-search"), batches)

    @property
    def waiting(self) -> int:
        """Queries that wait."""
        return self._encoding.waiting + self._quick.waiting + self._long.waiting

    def find(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
        """What a retriever finds. Raises RalmError for what cannot be answered, Busy where too many wait."""
        return self._put(self.together.job(retriever, queries, search)).result()

    async def found(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
        """As `find`. Whoever is cancelled while it waits is not searched for."""
        return await asyncio.wrap_future(self._put(self.together.job(retriever, queries, search)))

    def _put(self, job: Job) -> "Future[Found]":
        self.limits.require_search(len(job.queries), job.search.k)
        waiting = self.waiting
        job.future.add_done_callback(self._note)
        if job.queries and not job.missing:
            job.done()
        elif waiting and waiting + len(job.queries) > self._most:
            raise Busy(f"{waiting} queries wait for the search already: ask again a little later.")
        elif job.by_embeddings:
            self._encoding.put(job)
        else:
            self._search(job)
        return job.future

    def _note(self, future: "Future[Found]") -> None:
        if not future.cancelled() and future.exception() is None:
            self.answered(future.result())

    def _look(self, line: str, jobs: Sequence[Job]) -> None:
        self.batched(line, sum(len(job.queries) for job in jobs))
        self.together.search(jobs)

    def _encode(self, jobs: Sequence[Job]) -> None:
        self.batched("encode", sum(len(job.queries) for job in jobs))
        self.together.encode(jobs)
        for job in jobs:
            if not job.future.done():
                self._search(job)

    def _search(self, job: Job) -> None:
        """Let a request wait for the search."""
        refinement = job.search.refinement
        long = refinement.filters or refinement.reorders or len(job.queries) * job.search.k > _MANY_HITS
        (self._long if long else self._quick).put(job)
