"""`POST /search`."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from serve.answering.finding import Query
from serve.routes.asked import answerer_of, searches_of
from serve.schemas.replies import reply_of
from serve.schemas.searching import SearchReply, SearchRequest

router = APIRouter()


# A reply of more hits is made in a thread: the event loop is others' meanwhile.
_MANY_HITS = 100


@router.post("/search", response_model=SearchReply)
async def search(body: SearchRequest, request: Request) -> Response:
    """The passages nearest to each query."""
    retriever = answerer_of(request).retriever
    assert retriever is not None  # A server always has a store.
    settled, queries = retriever.settled(body.to_search()), Query.each(body.queries, body.answers)
    found = await searches_of(request).found(retriever, queries, settled)

    def written() -> str:
        return reply_of(retriever, settled, queries, found).model_dump_json()

    # Why there are few, takes a look at the store.
    short = any(one.exhausted for one in found.rankings)
    long = short or sum(len(one.hits) for one in found.rankings) > _MANY_HITS
    # Written here, and not by FastAPI, which would check every hit once more.
    return Response(await run_in_threadpool(written) if long else written(), media_type="application/json")
