"""Passages for queries: what a search is given and what it gives, however it is made.

Knows no reader and no HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from retriever.request import Search
from retriever.results import Ranking, Seconds
from retriever.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for; `answers`, where known, are for decontamination."""

    text: str
    answers: tuple[str, ...] = ()

    @classmethod
    def each(
        cls, texts: Sequence[str], answers: Sequence[Sequence[str]] | None = None
    ) -> "tuple[Query, ...]":
        """Queries of these texts, and of the answers [n] that are known."""
        known = [()] * len(texts) if answers is None else answers
        return tuple(cls(text, tuple(mine)) for text, mine in zip(texts, known, strict=True))


@dataclass(frozen=True, slots=True)
class Found:
    """The ranking of each query, and the seconds of each stage; `queue` is what was waited."""

    rankings: tuple[Ranking, ...]
    seconds: Mapping[str, float]


class Find(Protocol):
    """A way of searching: at once, or together with what others ask."""

    def __call__(self, retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
        """What a retriever finds. Raises RalmError for what cannot be answered."""
        ...


def find(retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
    """Search at once, in this thread."""
    seconds = Seconds()
    answers = [one.answers for one in queries] if any(one.answers for one in queries) else None
    rankings = retriever.search([one.text for one in queries], search, answers, seconds)
    return Found(tuple(rankings), seconds.stages)
