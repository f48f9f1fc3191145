"""One search to its reply: what the command line and `POST /search` both give."""

from collections.abc import Sequence

from retriever.ranking.setting import Setting
from retriever.request import Search
from retriever.results import Seconds
from retriever.retriever import Retriever
from retriever.shortfall import Shortfall
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
    settled, seconds = retriever.settled(search), Seconds()
    rankings = retriever.search(queries, settled, answers, seconds)
    shortfall = Shortfall(retriever, settled)
    return SearchReply(
        manifest=retriever.hash,
        results=[
            QueryResult.of(query, ranking, shortfall.of(query, ranking))
            for query, ranking in zip(queries, rankings, strict=True)
        ],
        left_out=list(retriever.left_out(search.view)),
        setting=_setting(retriever, settled),
        seconds=seconds.stages,
    )


def _setting(retriever: Retriever, settled: Search) -> SettingModel | None:
    """How hard a search tried; None for one by words alone."""
    tried = settled.effort
    if settled.method.name == "bm25" or not isinstance(tried, Setting):
        return None
    return SettingModel(nprobe=tried.nprobe, depth=tried.depth, recall=retriever.measured(settled))
