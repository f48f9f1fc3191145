"""Whether the service is well, and ready."""

from typing import Any

from fastapi import APIRouter, Request

from lm.reader import card
from retriever.opened import OpenedStore
from serve.answering.answerer import Answerer
from serve.routes.asked import answerer_of

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """What is being served: store, encoder, index, reader; and what of it is not as it should be.

    That is shards that gave no answer when last asked, and why a newer generation cannot be opened. While all
    is being loaded, it is only said so.
    """
    answerer: Answerer | None = request.app.state.answerer
    retriever = None if answerer is None else answerer.retriever
    stores = [] if retriever is None else [_store_json(name, one) for name, one in retriever.stores.items()]
    silent = [] if retriever is None else list(retriever.silent())
    well = "degraded" if silent or request.app.state.behind else "ok"
    return {
        "status": "loading" if answerer is None else well,
        "missing": silent,
        "behind": request.app.state.behind,
        "store": stores[0] if stores else None,
        "stores": stores,
        "reader": None if answerer is None else card(answerer.reader),
    }


@router.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """Whether all is loaded; until then it is an error, 503."""
    answerer_of(request)
    return {"status": "ready"}


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
