"""One search to its reply: what the command line and `POST /search` both give."""

from collections.abc import Sequence

from retriever.ranking.setting import Setting
from retriever.request import Search
from retriever.retriever import Retriever
from retriever.shortfall import Shortfall
from serve.answering.finding import Found, Query, find
from serve.answering.places import Addresses
from serve.schemas.searching import QueryResult, SearchReply, SettingModel


def reply_to(
    retriever: Retriever,
    search: Search,
    queries: Sequence[str],
    answers: Sequence[Sequence[str]] | None = None,
) -> SearchReply:
    """The best passages of each query, and how they were found. Raises RalmError for what cannot be answered.

    `answers` [n], where known, are looked for in passages too when these are decontaminated.
    """
    settled = retriever.settled(search)
    asked = Query.each(queries, answers)
    return reply_of(retriever, settled, asked, find(retriever, asked, settled), Addresses(retriever))


def reply_of(
    retriever: Retriever, settled: Search, queries: Sequence[Query], found: Found, addresses: Addresses
) -> SearchReply:
    """What a settled search has found, for others to read, and where they read the passages."""
    shortfall = Shortfall(retriever, settled)
    return SearchReply(
        manifest=retriever.hash,
        results=[
            QueryResult.of(query.text, ranking, shortfall.of(query.text, ranking), addresses)
            for query, ranking in zip(queries, found.rankings, strict=True)
        ],
        left_out=list(retriever.left_out(settled.view)),
        setting=_setting(retriever, settled),
        seconds=dict(found.seconds),
    )


def _setting(retriever: Retriever, settled: Search) -> SettingModel | None:
    """How hard a search tried; None for one by words alone."""
    tried = settled.effort
    if settled.method.name == "bm25" or not isinstance(tried, Setting):
        return None
    return SettingModel(nprobe=tried.nprobe, depth=tried.depth, recall=retriever.measured(settled))
