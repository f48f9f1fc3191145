"""`POST /search`, as our own clients ask it and as massive-serve's do.

Decisions: docs/decisions/serving.md.
"""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from retriever.request import Effort
from retriever.retriever import Retriever
from serve.answering.finding import Query
from serve.answering.places import part_of
from serve.answering.results import Results
from serve.routes.asked import addresses_of, retriever_of, searches_of
from serve.schemas.massive import MassiveReply
from serve.schemas.searching import SearchReply, SearchRequest

router = APIRouter()


# A reply of more hits is made in a thread: the event loop is others' meanwhile.
_MANY_HITS = 100


@router.post("/search", response_model=SearchReply)
async def search(body: SearchRequest, request: Request) -> Response:
    """The passages nearest to each query."""
    retriever = retriever_of(request)
    if body.n_docs is not None:
        return await _massive(body, request, retriever)
    settled, queries = retriever.settled(body.to_search()), Query.each(body.queries, body.answers)
    found = await searches_of(request).found(retriever, queries, settled)

    addresses = addresses_of(request, retriever)

    def written() -> str:
        results = Results.of(retriever, settled, queries, found)
        return SearchReply.of(results, addresses).model_dump_json()

    # Why there are few, takes a look at the store.
    short = any(one.exhausted for one in found.rankings)
    long = short or sum(len(one.hits) for one in found.rankings) > _MANY_HITS
    # Written here, and not by FastAPI, which would check every hit once more.
    return Response(await run_in_threadpool(written) if long else written(), media_type="application/json")


async def _massive(body: SearchRequest, request: Request, whole: Retriever) -> Response:
    """The same as massive-serve's clients ask for it, and read it."""
    retriever = whole if body.domains is None else part_of(whole, [body.domains])
    search = replace(body.to_search(), effort=_within(body, retriever))
    settled, queries = retriever.settled(search), Query.each(body.queries, body.answers)
    found = await searches_of(request).found(retriever, queries, settled)
    addresses = addresses_of(request, whole)

    def written() -> str:
        ids = [[addresses.of(hit)[0] for hit in ranking.hits] for ranking in found.rankings]
        return MassiveReply.of(body, found.rankings, ids).model_dump_json()

    return Response(await run_in_threadpool(written), media_type="application/json")


def _within(body: SearchRequest, retriever: Retriever) -> Effort:
    """How hard to try: not beyond the lists that there are, as that server's index takes it."""
    lists = [one.known.lists for one in retriever.stores.values()]
    most = max((one for one in lists if one is not None), default=0)
    nprobe = body.nprobe if body.nprobe is None or None in lists else (min(body.nprobe, most) or None)
    return Effort(body.recall, nprobe, body.depth)
