"""`POST /search`."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from serve.answering.finding import Query
from serve.routes.asked import answerer_of, searches_of
from serve.schemas.replies import reply_of
from serve.schemas.searching import SearchReply, SearchRequest

router = APIRouter()


@router.post("/search")
async def search(body: SearchRequest, request: Request) -> SearchReply:
    """The passages nearest to each query."""
    retriever = answerer_of(request).retriever
    assert retriever is not None  # A server always has a store.
    settled, queries = retriever.settled(body.to_search()), Query.each(body.queries, body.answers)
    found = await searches_of(request).found(retriever, queries, settled)
    # Why there are few, and many hits, take a while.
    return await run_in_threadpool(reply_of, retriever, settled, queries, found)
