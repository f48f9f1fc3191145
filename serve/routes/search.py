"""`POST /search`."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from serve.routes.asked import answerer_of
from serve.schemas.replies import reply_to
from serve.schemas.searching import SearchReply, SearchRequest

router = APIRouter()


@router.post("/search")
async def search(body: SearchRequest, request: Request) -> SearchReply:
    """The passages nearest to each query."""
    retriever = answerer_of(request).retriever
    assert retriever is not None  # A server always has a store.
    return await run_in_threadpool(reply_to, retriever, body.to_search(), body.queries, body.answers)
