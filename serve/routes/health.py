"""Whether the service is well, and which models it has."""

from typing import Any

from fastapi import APIRouter, Request

from lm.reader import card
from retriever.opened import OpenedStore
from serve.routes.asked import answerer_of

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """What is being served: store, encoder, index, reader; and what of it is not as it should be.

    That is shards that gave no answer when last asked, and why a newer generation cannot be opened.
    """
    answerer = answerer_of(request)
    retriever = answerer.retriever
    assert retriever is not None  # A server always has a store.
    stores = [_store_json(name, one) for name, one in retriever.stores.items()]
    silent = list(retriever.silent())
    return {
        "status": "degraded" if silent or request.app.state.behind else "ok",
        "missing": silent,
        "behind": request.app.state.behind,
        "store": stores[0],
        "stores": stores,
        "reader": card(answerer.reader),
    }


def _store_json(name: str, opened: OpenedStore) -> dict[str, Any]:
    store = opened.store
    manifest = store.manifest
    return {
        "name": name,
        "manifest": store.hash,
        "generation": manifest.generation,
        "passages": store.passages,
        "index": manifest.index.key,
        "encoder": manifest.encoder.name,
    }


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The names a chat request may ask for, as OpenAI's API lists them."""
    names = ("ralm", answerer_of(request).reader.name)
    return {
        "object": "list",
        "data": [{"id": n, "object": "model", "created": 0, "owned_by": "ralm"} for n in names],
    }
