"""A reply of `POST /search` as massive-serve gives it, to requests that ask with its field `n_docs`.

Its clients read three lists for each query, best passage first: texts, scores and ids.
"""

from collections.abc import Sequence

from pydantic import BaseModel

from retriever.results import Ranking
from serve.schemas.fields import Rounded
from serve.schemas.searching import SearchRequest


class MassiveResults(BaseModel):
    """For each query the ids of its passages, their texts and their scores."""

    IDs: list[list[str]]
    passages: list[list[str]]
    scores: list[list[Rounded]]


class MassiveReply(BaseModel):
    """The reply: what was asked, and what was found."""

    message: str
    query: str | list[str]
    n_docs: int
    nprobe: int | None
    results: MassiveResults

    @classmethod
    def of(
        cls, asked: SearchRequest, rankings: Sequence[Ranking], ids: Sequence[Sequence[str]]
    ) -> "MassiveReply":
        """What a request's queries brought, and the ids of the passages of each."""
        results = MassiveResults(
            IDs=[list(some) for some in ids],
            passages=[[hit.passage.text for hit in ranking.hits] for ranking in rankings],
            scores=[[hit.score for hit in ranking.hits] for ranking in rankings],
        )
        found = sum(len(ranking.hits) for ranking in rankings)
        return cls(
            message=f"Found {found} passages.",
            query=asked.query,
            n_docs=asked.n_docs or asked.k,
            nprobe=asked.nprobe,
            results=results,
        )
