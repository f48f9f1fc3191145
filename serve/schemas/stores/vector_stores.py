"""Stores as OpenAI's vector stores: what requests of them take, and what they give.

The shapes are those of OpenAI's Python package. A document is a file; a passage is what a search finds.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from datastore.conditions import Clause
from datastore.generations.manifest import Manifest
from datastore.schema import Passage
from datastore.view import View
from retriever.request import Method, Search
from retriever.results import Hit
from serve.answering.places import Place, Whole, title_of, url_of
from serve.schemas.fields import Body, Rounded
from serve.schemas.hits import shown
from serve.schemas.searching import Queries
from serve.schemas.stores.filters import clauses_of

# As OpenAI's.
MAX_RESULTS, RESULTS = 50, 10
MAX_PAGE, PAGE = 100, 20
Attributes = dict[str, str | int | float | bool]
Ranker = Literal["auto", "none", "default-2024-11-15", "default-2024-08-21", "default_2024_08_21"]
Order = Literal["asc", "desc"]


class HybridWeights(Body):
    """How much embeddings and words count where both find passages."""

    model_config = ConfigDict(extra="forbid")

    embedding_weight: float = Field(ge=0)
    text_weight: float = Field(ge=0)

    @model_validator(mode="after")
    def _some_weight(self) -> "HybridWeights":
        if not 0 < self.embedding_weight + self.text_weight < float("inf"):
            raise ValueError("embedding_weight and text_weight need a sum above 0")
        return self


class RankingOptions(Body):
    """How hits are ranked. There is one ranker, whatever it is called: nothing is re-ranked behind it."""

    model_config = ConfigDict(extra="forbid")

    ranker: Ranker | None = None
    score_threshold: float | None = Field(None, ge=0, le=1, description="leave out hits of lower scores")
    hybrid_search: HybridWeights | None = None

    @property
    def method(self) -> Method:
        """What passages are found by."""
        weights = self.hybrid_search
        if weights is None:
            return Method()
        return Method(
            "hybrid", weight=weights.embedding_weight / (weights.embedding_weight + weights.text_weight)
        )


def checked_filters(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """A filter as it was sent. Raises ValueError for what is none."""
    if value is not None:
        clauses_of(value)
    return value


class StoreSearchRequest(Body):
    """`POST /v1/vector_stores/{id}/search`: a query or several, whose hits come in one list."""

    model_config = ConfigDict(extra="forbid")

    query: Queries
    filters: dict[str, Any] | None = None
    max_num_results: int | None = Field(None, ge=1, le=MAX_RESULTS)
    ranking_options: RankingOptions | None = None
    rewrite_query: bool | None = None

    _filters = field_validator("filters")(checked_filters)

    @property
    def queries(self) -> list[str]:
        """The queries; one, if it was given alone."""
        return [self.query] if isinstance(self.query, str) else self.query

    @property
    def ranking(self) -> RankingOptions:
        """How hits are ranked."""
        return self.ranking_options or RankingOptions()

    def to_search(self) -> Search:
        """What is asked, its queries aside. Raises RalmError for what is no search."""
        return Search(
            self.max_num_results or RESULTS, View(where=where_of(self.filters)), method=self.ranking.method
        )

    @field_validator("rewrite_query")
    @classmethod
    def _as_it_is(cls, value: bool | None) -> bool | None:
        if value:
            raise ValueError("queries are searched as they are: leave it out, or rewrite them yourself")
        return value


def where_of(filters: dict[str, Any] | None) -> tuple[Clause, ...]:
    """The conditions of a filter; none of none."""
    return () if filters is None else clauses_of(filters)


class PageQuery(BaseModel):
    """Which part of a list is asked for. `after` and `before` are ids of what stands at its edge."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)
    order: Order = "desc"
    after: str | None = None
    before: str | None = None
    filter: Literal["in_progress", "completed", "failed", "cancelled"] | None = Field(
        None, description="by status: all files are completed"
    )

    @model_validator(mode="after")
    def _one_edge(self) -> "PageQuery":
        if self.after is not None and self.before is not None:
            raise ValueError("give after or before, not both")
        return self


def page_json(entries: list[dict[str, Any]], more: bool) -> dict[str, Any]:
    """A part of a list, as its clients page through it."""
    return {
        "object": "list",
        "data": entries,
        "first_id": entries[0]["id"] if entries else None,
        "last_id": entries[-1]["id"] if entries else None,
        "has_more": more,
    }


def store_json(its_id: str, name: str, manifest: Manifest, files: int, created: int) -> dict[str, Any]:
    """A store as a vector store. `created`: when its generation was written, in seconds since 1970."""
    return {
        "id": its_id,
        "object": "vector_store",
        "created_at": created,
        "name": name,
        "status": "completed",
        "usage_bytes": sum(file.bytes for file in manifest.files),
        "file_counts": {"in_progress": 0, "completed": files, "failed": 0, "cancelled": 0, "total": files},
        "last_active_at": None,
        "expires_after": None,
        "expires_at": None,
        "metadata": {
            "manifest": manifest.hash,
            "generation": str(manifest.generation),
            "passages": str(manifest.passages),
            "encoder": manifest.encoder.name[:512],
            "index": manifest.index.key,
        },
    }


def store_file_json(document: Whole, created: int) -> dict[str, Any]:
    """A document as a file of a vector store."""
    return {
        "id": document.place.document,
        "object": "vector_store.file",
        "created_at": created,
        "status": "completed",
        "last_error": None,
        "usage_bytes": document.bytes,
        "vector_store_id": document.store,
        "attributes": attributes_of(document.passages[0]),
        "filename": document.title,
    }


def file_json(document: Whole, created: int) -> dict[str, Any]:
    """A document as a file."""
    return {
        "id": document.place.document,
        "object": "file",
        "bytes": document.bytes,
        "created_at": created,
        "filename": document.title,
        "purpose": "assistants",
        "status": "processed",
    }


def attributes_of(passage: Passage) -> Attributes:
    """The metadata of a passage's document, as filters compare them."""
    found = {name: shown(value) for name, value in passage.metadata.items()}
    return {name: value for name, value in found.items() if value is not None}  # type: ignore[misc]


class ResultModel(BaseModel):
    """A hit of a vector store, and beside OpenAI's fields its passage's id and URL."""

    file_id: str
    filename: str
    score: Rounded
    attributes: Attributes
    content: list[dict[str, str]]
    passage_id: str
    url: str

    @classmethod
    def of(cls, hit: Hit, place: Place, base: str) -> "ResultModel":
        """A hit that stands at a place, served at an address."""
        return cls(
            file_id=place.document,
            filename=title_of(hit.passage),
            score=hit.score,
            attributes=attributes_of(hit.passage),
            content=[{"type": "text", "text": hit.passage.text}],
            passage_id=str(place),
            url=url_of(hit.passage, place, base),
        )
