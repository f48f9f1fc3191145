"""`POST /v1/embeddings` and `POST /v1/rerank`, by the store's encoder."""

import uuid
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from serve.answering.embedding import Embedded, embedded
from serve.routes.asked import retriever_of
from serve.schemas.embedding import EmbeddingReply, EmbeddingRequest, Made, RerankReply, RerankRequest

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder

router = APIRouter()


def _encoder_of(request: Request, model: str | None) -> "TextEncoder":
    """The store's encoder, by its name or ralm's."""
    encoder = retriever_of(request).encoder
    if model not in (None, "ralm", encoder.checkpoint.name):
        detail = f"There is no encoder {model!r} here: ask for ralm or {encoder.checkpoint.name}."
        raise HTTPException(404, detail)
    return encoder


@router.post("/v1/embeddings")
async def embeddings(body: EmbeddingRequest, request: Request) -> EmbeddingReply:
    """Vectors of texts."""
    encoder = _encoder_of(request, body.model)
    if body.dimensions not in (None, encoder.dimension):
        name = encoder.checkpoint.name
        detail = f"The vectors of {name} have {encoder.dimension} dimensions, and no other number."
        raise HTTPException(400, detail)
    cut = body.truncate_prompt_tokens is not None
    found = await run_in_threadpool(embedded, encoder, body.texts, body.input_type, cut)
    return EmbeddingReply.of(found.vectors, found.tokens, encoder.checkpoint.name, body.encoding_format)


@router.post("/v1/rerank")
async def rerank(body: RerankRequest, request: Request) -> RerankReply:
    """Documents by how near they are to a query."""
    encoder, cut = _encoder_of(request, body.model), body.truncate_prompt_tokens is not None

    def both() -> tuple[Embedded, Embedded]:
        return (
            embedded(encoder, [body.query], "query", cut),
            embedded(encoder, body.texts, "document", cut),
        )

    query, documents = await run_in_threadpool(both)
    made = Made(f"rerank-{uuid.uuid4().hex}", encoder.checkpoint.name, query.tokens + documents.tokens)
    return RerankReply.of(documents.vectors @ query.vectors[0], body, made)
