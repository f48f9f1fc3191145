"""`/v1/files`: a document by its id alone; and what nobody may do over HTTP, which is to change a store."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import PlainTextResponse

from base.invalid import written
from serve.answering.places import Whole, store_ids
from serve.routes.asked import places_of, retriever_of
from serve.routes.stores.vector_stores import created_at, name_of
from serve.schemas.stores.vector_stores import file_json

router = APIRouter()

_CHANGES = (
    ("POST", "/v1/files", "ralm add"),
    ("POST", "/v1/uploads", "ralm add"),
    ("DELETE", "/v1/files/{file_id}", "ralm delete"),
    ("POST", "/v1/vector_stores", "ralm build"),
    ("POST", "/v1/vector_stores/{store_id}", "ralm build"),
    ("DELETE", "/v1/vector_stores/{store_id}", "ralm delete"),
    ("POST", "/v1/vector_stores/{store_id}/files", "ralm add"),
    ("POST", "/v1/vector_stores/{store_id}/files/{file_id}", "ralm add"),
    ("DELETE", "/v1/vector_stores/{store_id}/files/{file_id}", "ralm delete"),
    ("POST", "/v1/vector_stores/{store_id}/file_batches", "ralm add"),
)
_OF_COMMANDS = {
    "ralm build": "a store is made and described by `ralm build`, and served by `ralm serve`",
    "ralm add": "add documents by `ralm add`: a running service takes up what comes of it",
    "ralm delete": "take documents down by `ralm delete`: a running service hides them at once",
}


@router.get("/v1/files/{file_id}")
def file(file_id: str, request: Request) -> dict[str, Any]:
    """A document, without its text."""
    document = _document(file_id, request)
    retriever = retriever_of(request)
    store = retriever.stores[name_of(document.store, retriever)].store
    return file_json(document, created_at(store))


@router.get("/v1/files/{file_id}/content")
def content(file_id: str, request: Request) -> PlainTextResponse:
    """The text of a document."""
    return PlainTextResponse(_document(file_id, request).text, headers={"X-Content-Type-Options": "nosniff"})


def _document(file_id: str, request: Request) -> Whole:
    found = places_of(request).find(file_id, retriever_of(request))
    if found is None:
        there = ", ".join(store_ids(retriever_of(request)).values())
        raise HTTPException(
            404, f"There is no file {written(file_id)} in {there}: it may have been taken down."
        )
    return found


def _refusing(command: str) -> Any:
    async def refused(request: Request) -> None:
        """Refused: stores are changed by commands, not over HTTP."""
        detail = f"The API changes no store: {_OF_COMMANDS[command]}."
        raise HTTPException(403, detail)

    return refused


for _method, _path, _command in _CHANGES:
    router.add_api_route(_path, _refusing(_command), methods=[_method], status_code=403, name="refused")
