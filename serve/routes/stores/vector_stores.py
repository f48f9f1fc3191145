"""`/v1/vector_stores`: stores as OpenAI's vector stores, documents as their files, and searches of them.

What is served is not changed over HTTP: a build, an addition and a takedown are commands.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request

from base.invalid import written
from datastore.documents import count_documents, documents_from
from datastore.store import Datastore
from retriever.results import Hit, Ranking
from retriever.retriever import Retriever
from serve.answering import finding
from serve.answering.places import Whole, store_ids, store_names
from serve.routes.asked import base_of, places_of, retriever_of, searches_of
from serve.schemas.stores.vector_stores import (
    PageQuery,
    ResultModel,
    StoreSearchRequest,
    page_json,
    store_file_json,
    store_json,
)

router = APIRouter(prefix="/v1/vector_stores")
Page = Annotated[PageQuery, Query()]


@router.get("")
def vector_stores(query: Page, request: Request) -> dict[str, Any]:
    """The stores that are served."""
    retriever = retriever_of(request)
    there = list(store_ids(retriever).values())
    names = {its_id: name for name, its_id in store_ids(retriever).items()}
    ordered = there if query.order == "asc" else there[::-1]
    edge = query.after if query.after is not None else query.before
    if edge is not None and edge not in there:
        raise HTTPException(404, _no_store(edge, retriever))
    if query.before is not None:
        found = ordered[: ordered.index(query.before)]
        chosen, more = found[-query.limit :], len(found) > query.limit
    else:
        found = ordered[ordered.index(query.after) + 1 :] if query.after is not None else ordered
        chosen, more = found[: query.limit], len(found) > query.limit
    return page_json([_store(retriever, names[its_id]) for its_id in chosen], more)


@router.get("/{store_id}")
def vector_store(store_id: str, request: Request) -> dict[str, Any]:
    """One of them."""
    retriever = retriever_of(request)
    return _store(retriever, name_of(store_id, retriever))


@router.get("/{store_id}/files")
def files(store_id: str, query: Page, request: Request) -> dict[str, Any]:
    """The documents of a store, in the order of its rows; by `desc` what was added last comes first."""
    retriever = retriever_of(request)
    store = retriever.stores[name_of(store_id, retriever)].store
    if query.filter not in (None, "completed"):
        return page_json([], more=False)
    edge = query.after if query.after is not None else query.before
    step = 1 if query.order == "asc" else -1
    back = query.before is not None
    start = 0 if step > 0 else store.rows - 1
    if edge is not None:
        found = places_of(request).rows(edge, retriever, store_id)
        if found is None:
            raise HTTPException(404, _no_file(edge))
        step = -step if back else step
        start = found[1].stop if step > 0 else found[1].start - 1
    documents = list(islice(_documents(store, store_id, start, step), query.limit + 1))
    shown = documents[: query.limit]
    entries = [store_file_json(one, created_at(store)) for one in (shown[::-1] if back else shown)]
    return page_json(entries, len(documents) > query.limit)


@router.get("/{store_id}/files/{file_id}")
def file(store_id: str, file_id: str, request: Request) -> dict[str, Any]:
    """A document of a store, without its text."""
    document, created = _file(store_id, file_id, request)
    return store_file_json(document, created)


@router.get("/{store_id}/files/{file_id}/content")
def content(store_id: str, file_id: str, request: Request) -> dict[str, Any]:
    """The text of a document of a store."""
    document, _ = _file(store_id, file_id, request)
    return {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": document.text}],
        "has_more": False,
        "next_page": None,
    }


@router.post("/{store_id}/search")
async def search(store_id: str, body: StoreSearchRequest, request: Request) -> dict[str, Any]:
    """The passages of a store nearest to a query, or to any of several."""
    whole = retriever_of(request)
    retriever = whole.only([name_of(store_id, whole)])
    settled, queries = retriever.settled(body.to_search()), finding.Query.each(body.queries)
    found = await searches_of(request).found(retriever, queries, settled)
    hits = best_of(found.rankings, settled.k, body.ranking.score_threshold)
    places, base = places_of(request), base_of(request)
    return {
        "object": "vector_store.search_results.page",
        "search_query": body.queries,
        "data": [ResultModel.of(hit, places.of(hit, whole), base).model_dump() for hit in hits],
        "has_more": False,
        "next_page": None,
        "manifest": retriever.hash,
        "seconds": dict(found.seconds),
    }


def best_of(rankings: Sequence[Ranking], k: int, threshold: float | None = None) -> list[Hit]:
    """The k best hits of several rankings, each passage once, with its best score."""
    best: dict[tuple[str, int], Hit] = {}
    for hit in (hit for ranking in rankings for hit in ranking.hits):
        known = best.get((hit.store, hit.row))
        if (known is None or hit.score > known.score) and (threshold is None or hit.score >= threshold):
            best[hit.store, hit.row] = hit
    # Sorting is stable: of equal scores the one that was found first stays first.
    return sorted(best.values(), key=lambda hit: -hit.score)[:k]


def name_of(store_id: str, retriever: Retriever) -> str:
    """A store's name by its id. Raises HTTPException if there is none."""
    for name, its_id in store_ids(retriever).items():
        if its_id == store_id:
            return name
    raise HTTPException(404, _no_store(store_id, retriever))


def created_at(store: Datastore) -> int:
    """When a store's generation was written where it is served from, in seconds since 1970; 0: unknown."""
    with suppress(OSError):
        return int(store.layout.manifest(store.manifest.generation).stat().st_mtime)
    return 0


def _store(retriever: Retriever, name: str) -> dict[str, Any]:
    store = retriever.stores[name].store
    its_id, called = store_ids(retriever)[name], store_names(retriever)[name]
    return store_json(its_id, called, store.manifest, count_documents(store), created_at(store))


def _documents(store: Datastore, its_id: str, start: int, step: int) -> Iterator[Whole]:
    for rows in documents_from(store, start, step):
        yield Whole(its_id, tuple(store.passage(row) for row in rows))


def _file(store_id: str, file_id: str, request: Request) -> tuple[Whole, int]:
    retriever = retriever_of(request)
    name = name_of(store_id, retriever)
    found = places_of(request).find(file_id, retriever, store_id)
    if found is None:
        raise HTTPException(404, _no_file(file_id))
    return found, created_at(retriever.stores[name].store)


def _no_store(store_id: str, retriever: Retriever) -> str:
    return (
        f"There is no vector store {written(store_id)}: there are {', '.join(store_ids(retriever).values())}."
    )


def _no_file(file_id: str) -> str:
    return f"There is no file {written(file_id)} here: it is another store's, or was taken down."
