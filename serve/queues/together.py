"""Several requests as one batch: encoded together, and searched together where they ask the same.

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
from serve.answering.finding import Found, Query
from serve.queues.kept import KeptOf
from serve.queues.vectors import EncodedQueries, QueryVectors

# What is kept of vectors and of results, in bytes.
VECTOR_BYTES, RESULT_BYTES = 32 << 20, 64 << 20

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(eq=False, slots=True)
class Job:
    """A request on its way: what is known of its rankings and vectors, its seconds, and the way back."""

    retriever: Retriever
    queries: Sequence[Query]
    search: Search
    found: dict[Query, Ranking] = field(default_factory=dict)
    encoded: EncodedQueries = field(default_factory=lambda: EncodedQueries({}))
    seconds: Seconds = field(default_factory=Seconds)
    future: "Future[Found]" = field(default_factory=Future)
    came: float = field(default_factory=time.perf_counter)

    @property
    def missing(self) -> list[Query]:
        """What is to be searched."""
        return [query for query in self.queries if query not in self.found]

    @property
    def by_embeddings(self) -> bool:
        """Whether its queries must be encoded."""
        return self.search.method.name != "bm25"

    def done(self) -> None:
        """Give what was found. What was in no stage was waited."""
        waited = time.perf_counter() - self.came - sum(self.seconds.stages.values())
        rankings = tuple(self.found[query] for query in self.queries)
        found = Found(rankings, {"queue": max(0.0, waited)} | self.seconds.stages)
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(found)

    def failed(self, error: Exception) -> None:
        """Raise an error where the request was made."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Together:
    """Encodes and searches batches of requests, and keeps vectors and rankings. Safe between threads."""

    def __init__(self, vector_bytes: int = VECTOR_BYTES, result_bytes: int = RESULT_BYTES) -> None:
        """At most so many bytes are kept of each; 0: nothing."""
        self.vectors = QueryVectors(vector_bytes)
        self.results: KeptOf[tuple[Query, Search], Ranking] = KeptOf(result_bytes, _size)

    def job(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Job:
        """A request with what is kept for it."""
        kept = self.results.of(retriever)
        found = {query: one for query in queries if (one := kept.get((query, search))) is not None}
        return Job(retriever, queries, search, found)

    def encode(self, jobs: Sequence[Job]) -> None:
        """Give requests the vectors of their queries; those that fail are told."""
        _each(jobs, self._encoded)

    def search(self, jobs: Sequence[Job]) -> None:
        """Answer requests that have their vectors."""
        _each(jobs, self._searched)

    def _encoded(self, jobs: Sequence[Job]) -> None:
        for retriever, mine in _grouped(jobs, lambda job: job.retriever):
            started = time.perf_counter()
            texts = [query.text for job in mine for query in job.missing]
            encoded = self.vectors.of(retriever.encoder, texts)
            for job in mine:
                job.encoded = encoded
                job.seconds.stages["encode"] = time.perf_counter() - started

    def _searched(self, jobs: Sequence[Job]) -> None:
        for (retriever, search), mine in _grouped(jobs, lambda job: (job.retriever, job.search)):
            seconds = Seconds()
            found = _rankings(retriever, search, mine, seconds)
            kept = self.results.of(retriever)
            for query, ranking in found.items():
                if not ranking.missing:  # Whoever gave no answer may give one next time.
                    kept.put((query, search), ranking)
            for job in mine:
                job.found |= {query: found[query] for query in job.missing}
                for stage, taken in seconds.stages.items():
                    job.seconds.stages[stage] = job.seconds.stages.get(stage, 0.0) + taken
                job.done()


def _rankings(
    retriever: Retriever, search: Search, jobs: Sequence[Job], seconds: Seconds
) -> dict[Query, Ranking]:
    """What requests that ask the same are still to be given, each query once."""
    queries = list(dict.fromkeys(query for job in jobs for query in job.missing))
    answers = [one.answers for one in queries] if any(one.answers for one in queries) else None
    encoder = EncodedQueries.joined(job.encoded for job in jobs) if jobs[0].by_embeddings else None
    rankings = retriever.search([one.text for one in queries], search, answers, seconds, encoder)
    return dict(zip(queries, rankings, strict=True))


def _each(jobs: Sequence[Job], work: Callable[[Sequence[Job]], None]) -> None:
    """Do something for a batch. If it fails, it is done once more for each that is not done, alone."""
    error = _tried(jobs, work)
    if error is None:
        return
    for job in [job for job in jobs if not job.future.done()]:
        alone = error if len(jobs) == 1 else _tried([job], work)
        if alone is not None:
            job.failed(alone)


def _tried(jobs: Sequence[Job], work: Callable[[Sequence[Job]], None]) -> Exception | None:
    """Do it, and give what has gone wrong."""
    try:
        work(jobs)
    except Exception as error:  # noqa: BLE001  (raised again by whoever asked)
        return error
    return None


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
