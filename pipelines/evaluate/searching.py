"""Questions searched for, each of them: what cannot be asked finds nothing, and is counted.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from pipelines.execution.progress import BuildProgress, shown
from retriever.local import LocalRetriever
from retriever.ranking.setting import Setting
from retriever.request import Effort, Search
from retriever.results import Ranking
from retriever.retriever import Retriever

# Questions that are searched for between two words of how far it has come.
_TOGETHER = 128
# As many of each ranking as a hybrid search joins, at least.
_JOINED = 100
_NOTHING = Ranking((), True)


@dataclass(frozen=True, slots=True)
class Found:
    """What each question [n] finds; `asked` [n] says which could be asked. `seconds` are those of all."""

    rankings: tuple[Ranking, ...]
    asked: NDArray[np.bool_]
    seconds: float = 0.0


def rankings_of(retriever: Retriever, texts: Sequence[str], search: Search, progress: BuildProgress) -> Found:
    """What a search finds for each text. Raises RalmError if none of them can be asked."""
    asked = retriever.answerable(texts, [search.view], search)
    some = [text for text, one in zip(texts, asked.tolist(), strict=True) if one]
    found: list[Ranking] = []
    started = perf_counter()
    with shown(progress, "search", "questions", len(some)):
        for at in range(0, len(some), _TOGETHER):
            found += retriever.search(some[at : at + _TOGETHER], search)
            progress.advance(len(some[at : at + _TOGETHER]))
    rest = iter(found)
    rankings = tuple(next(rest) if one else _NOTHING for one in asked.tolist())
    return Found(rankings, asked, perf_counter() - started)


def can_be_asked(retriever: Retriever, texts: Sequence[str], search: Search) -> NDArray[np.bool_]:
    """Which texts [n] a search answers: not one of them, maybe."""
    try:
        return retriever.answerable(texts, [search.view], search)
    except RalmError:
        return np.zeros(len(texts), bool)  # It says so if it would refuse them all.


def exhaustive(retriever: LocalRetriever) -> Setting:
    """A search of all lists.

    A sample's best passages lie further out than the whole store's, so that probing some of the lists finds
    fewer of them: that would pass for a gain of the larger datastore.
    """
    return replace(retriever.opened.setting(Effort(), _JOINED), nprobe=retriever.index.nlist)
