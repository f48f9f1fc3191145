"""What an assistant may do with a datastore: search it, and fetch what was found. Knows no protocol."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from anyio.to_thread import run_sync
from pydantic import BaseModel, Field

from base.errors import RalmError
from base.invalid import is_unicode, written
from datastore.schema import Passage
from retriever.request import Search
from retriever.retriever import Retriever
from serve.answering.finding import Found, Query
from serve.answering.places import Place, Places, Whole, between, title_of, url_of
from serve.schemas.hits import shown
from serve.schemas.searching import MAX_CHARACTERS

# Passages of a search, and the characters of a document that an assistant is given at once.
MAX_RESULTS, RESULTS = 50, 10
MAX_TEXT = 50_000

Finding = Callable[[Retriever, Sequence[Query], Search], Awaitable[Found]]


class ResultModel(BaseModel):
    """A passage that was found."""

    id: str = Field(description="what `fetch` takes")
    title: str
    url: str
    text: str
    metadata: dict[str, Any]


class ResultsModel(BaseModel):
    """What a search has found, best first."""

    results: list[ResultModel]


class DocumentModel(BaseModel):
    """A document, or of a long one the part around what was asked for."""

    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, Any]
    before: str | None = Field(None, description="id of the passage before this part, if there is one")
    after: str | None = Field(None, description="id of the passage behind this part, if there is one")


class Tools:
    """The tools over what `retriever` says is served now, found by `finding`."""

    def __init__(self, retriever: Callable[[], Retriever], places: Places, finding: Finding) -> None:
        self._retriever, self._places, self._finding = retriever, places, finding

    async def search(self, query: str, most: int, base: str) -> ResultsModel:
        """The passages nearest to a query. Raises RalmError for what cannot be searched."""
        if not query.strip() or len(query) > MAX_CHARACTERS or not is_unicode(query):
            raise RalmError(f"A query must hold text, at most {MAX_CHARACTERS} characters.")
        retriever = self._retriever()
        settled = retriever.settled(Search(most))
        found = await self._finding(retriever, [Query(query)], settled)
        hits = found.rankings[0].hits
        placed = [(self._places.of(hit, retriever), hit.passage) for hit in hits]
        return ResultsModel(results=[_result(place, passage, base) for place, passage in placed])

    async def fetch(self, text: str, base: str) -> DocumentModel:
        """A document by its id, or by that of a passage. Raises RalmError for what is none."""
        place = Place.parse(text)
        found = None
        if place is not None:
            found = await run_sync(self._places.find, place.document, self._retriever())
        if place is None or found is None or not _holds(found, place):
            raise RalmError(f"There is no document {written(text)}: take the id of a result of `search`.")
        return document_of(found, place, base)


def _holds(document: Whole, place: Place) -> bool:
    return place.chunk is None or any(one.chunk == place.chunk for one in document.passages)


def _result(place: Place, passage: Passage, base: str) -> ResultModel:
    return ResultModel(
        id=str(place),
        title=title_of(passage),
        url=url_of(passage, place, base),
        text=passage.text,
        metadata=_metadata(passage),
    )


def _metadata(passage: Passage) -> dict[str, Any]:
    return {name: shown(value) for name, value in passage.metadata.items()} | {"domain": passage.domain}


def document_of(document: Whole, place: Place, base: str) -> DocumentModel:
    """A document, or the part of it around a passage that is not too long."""
    passages = document.passages
    first, last = _part(passages, place.chunk)
    text = passages[first].text
    for number in range(first + 1, last + 1):
        text += between(passages[number - 1], passages[number]) + passages[number].text
    one = passages[first]
    return DocumentModel(
        id=str(place),
        title=document.title,
        text=text,
        url=url_of(one, place, base),
        metadata=_metadata(one) | {"document": one.doc_id, "characters": len(document.text)},
        before=_id(document, first - 1),
        after=_id(document, last + 1),
    )


def _id(document: Whole, at: int) -> str | None:
    if not 0 <= at < len(document.passages):
        return None
    return str(Place(document.place.document, document.passages[at].chunk))


def _part(passages: Sequence[Passage], chunk: int | None) -> tuple[int, int]:
    """The first and the last of the passages around one, or from the first on, that are not too long."""
    at = 0 if chunk is None else next(n for n, one in enumerate(passages) if one.chunk == chunk)
    first = last = at
    size = len(passages[at].text)
    grows = True
    while grows:
        grows = False
        for number in (last + 1, first - 1):
            if 0 <= number < len(passages) and size + len(passages[number].text) <= MAX_TEXT:
                first, last, grows = min(first, number), max(last, number), True
                size += len(passages[number].text)
    return first, last
