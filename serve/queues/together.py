"""Several requests searched as one batch: encoded together, and searched together where they ask the same.

What has been found is kept. Knows no queue.

Decisions: docs/decisions/serving.md.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from sys import getsizeof
from typing import TypeVar

from retriever.request import Search
from retriever.results import Ranking, Seconds
from retriever.retriever import Retriever
from retriever.searching import QueryEncoder
from serve.answering.finding import Found, Query
from serve.queues.kept import KeptOf
from serve.queues.vectors import QueryVectors

# What is kept of vectors and of results, in bytes.
VECTOR_BYTES, RESULT_BYTES = 32 << 20, 64 << 20

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(eq=False, slots=True)
class Job:
    """A request, what is known of its rankings already, and the way back for them."""

    retriever: Retriever
    queries: Sequence[Query]
    search: Search
    found: dict[Query, Ranking] = field(default_factory=dict)
    future: "Future[Found]" = field(default_factory=Future)
    came: float = field(default_factory=time.perf_counter)

    @property
    def missing(self) -> list[Query]:
        """What is to be searched."""
        return [query for query in self.queries if query not in self.found]

    def done(self, seconds: Seconds) -> None:
        """Give what was found. What was in no stage was waited."""
        waited = time.perf_counter() - self.came - sum(seconds.stages.values())
        rankings = tuple(self.found[query] for query in self.queries)
        found = Found(rankings, {"queue": max(0.0, waited)} | seconds.stages)
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(found)

    def failed(self, error: Exception) -> None:
        """Raise an error where the request was made."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Together:
    """Answers batches of requests, and keeps vectors and rankings. Safe between threads."""

    def __init__(self, vector_bytes: int = VECTOR_BYTES, result_bytes: int = RESULT_BYTES) -> None:
        """At most so many bytes are kept of each; 0: nothing."""
        self.vectors = QueryVectors(vector_bytes)
        self.results: KeptOf[tuple[Query, Search], Ranking] = KeptOf(result_bytes, _size)

    def job(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Job:
        """A request with what is kept for it."""
        kept = self.results.of(retriever)
        found = {query: one for query in queries if (one := kept.get((query, search))) is not None}
        return Job(retriever, queries, search, found)

    def answer(self, jobs: Sequence[Job]) -> None:
        """Answer requests. If they fail together, each without an answer is searched once more, alone."""
        error = self._tried(jobs)
        for job in [job for job in jobs if not job.future.done()]:
            alone = error if len(jobs) == 1 else self._tried([job])
            if alone is not None:
                job.failed(alone)

    def _tried(self, jobs: Sequence[Job]) -> Exception | None:
        """Answer requests, and give what has gone wrong."""
        try:
            for retriever, mine in _grouped(jobs, lambda job: job.retriever):
                self._searched(retriever, mine)
        except Exception as error:  # noqa: BLE001  (raised again by whoever asked)
            return error
        return None

    def _searched(self, retriever: Retriever, jobs: Sequence[Job]) -> None:
        """Answer requests of one retriever."""
        texts = [query.text for job in jobs if job.search.method.name != "bm25" for query in job.missing]
        seconds, encoder = Seconds(), None
        if texts:
            with seconds.of("encode"):
                encoder = self.vectors.of(retriever.encoder, texts)
        for search, mine in _grouped(jobs, lambda job: job.search):
            own = Seconds(dict(seconds.stages))
            queries = list(dict.fromkeys(query for job in mine for query in job.missing))
            rankings = _rankings(retriever, queries, search, own, encoder)
            found = dict(zip(queries, rankings, strict=True))
            self._keep(retriever, search, found)
            for job in mine:
                job.found |= {query: found[query] for query in job.missing}
                job.done(own)

    def _keep(self, retriever: Retriever, search: Search, found: dict[Query, Ranking]) -> None:
        kept = self.results.of(retriever)
        for query, ranking in found.items():
            if not ranking.missing:  # Whoever gave no answer may give one next time.
                kept.put((query, search), ranking)


def _rankings(
    retriever: Retriever,
    queries: Sequence[Query],
    search: Search,
    seconds: Seconds,
    encoder: QueryEncoder | None,
) -> list[Ranking]:
    answers = [one.answers for one in queries] if any(one.answers for one in queries) else None
    return retriever.search([one.text for one in queries], search, answers, seconds, encoder)


def _grouped(jobs: Iterable[Job], key: Callable[[Job], _Key]) -> list[tuple[_Key, list[Job]]]:
    """Requests by what is equal of them, in the order of coming."""
    groups: dict[_Key, list[Job]] = {}
    for job in jobs:
        groups.setdefault(key(job), []).append(job)
    return list(groups.items())


def _size(key: tuple[Query, Search], ranking: Ranking) -> int:
    """About the bytes of what is kept of one query."""
    query, _ = key
    texts = [query.text, *query.answers, *(hit.passage.text for hit in ranking.hits)]
    metadata = [value for hit in ranking.hits for value in hit.passage.metadata.values()]
    return sum(map(getsizeof, texts)) + sum(map(getsizeof, metadata)) + 1000 * (1 + len(ranking.hits))
