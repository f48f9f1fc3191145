"""A search and all that is told of it: what the command line and `POST /search` both give. Knows no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass

from retriever.ranking.setting import Setting
from retriever.request import Search
from retriever.retriever import Retriever
from retriever.shortfall import Shortfall
from serve.answering.finding import Found, Query, find


@dataclass(frozen=True, slots=True)
class Results:
    """What a settled search has found for queries, and where: the hash names manifest or manifests.

    `shortfalls` say of each query why there are few. `recall` is what its setting finds at least, as the
    index's card measured it; None where that tells nothing. `left_out` are stores of which none is in it.
    """

    manifest: str
    search: Search
    queries: Sequence[Query]
    found: Found
    shortfalls: Sequence[str | None]
    left_out: Sequence[str]
    recall: float | None

    @classmethod
    def of(cls, retriever: Retriever, settled: Search, queries: Sequence[Query], found: Found) -> "Results":
        """All that is told of what was found. Where that is little, it takes a look at the store."""
        shortfall, rankings = Shortfall(retriever, settled), zip(queries, found.rankings, strict=True)
        return cls(
            retriever.hash,
            settled,
            queries,
            found,
            [shortfall.of(query.text, ranking) for query, ranking in rankings],
            retriever.left_out(settled.view),
            retriever.measured(settled) if _setting(settled) is not None else None,
        )

    @property
    def setting(self) -> Setting | None:
        """How hard the search tried; None for one by words alone."""
        return _setting(self.search)


def _setting(settled: Search) -> Setting | None:
    tried = settled.effort
    return tried if settled.method.name != "bm25" and isinstance(tried, Setting) else None


def results_of(
    retriever: Retriever,
    search: Search,
    queries: Sequence[str],
    answers: Sequence[Sequence[str]] | None = None,
) -> Results:
    """Search at once: the best passages of each query. Raises RalmError for what cannot be answered.

    `answers` [n], where known, are looked for in passages too when these are decontaminated.
    """
    settled, asked = retriever.settled(search), Query.each(queries, answers)
    return Results.of(retriever, settled, asked, find(retriever, asked, settled))
