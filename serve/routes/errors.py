"""Errors as OpenAI's API shapes them: one sentence each."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from base.errors import Busy, RalmError, Unavailable
from base.invalid import sentence, written
from datastore.files.refusals import refused
from serve.routes import identity

# What OpenAI's API calls them.
_KINDS = {401: "authentication_error", 429: "rate_limit_error"}
# The statuses of errors, the narrower kind first. A lost file or a full disk may be mended while the service
# runs; whatever is none of these is a defect of ours.
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (Busy, 429),
    (Unavailable, 503),
    (RalmError, 400),
    (OSError, 503),
)


def handle_errors(app: FastAPI) -> None:
    """Let an application answer whatever goes wrong with an error of this shape."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    for kind, _ in _STATUSES:
        app.add_exception_handler(kind, _raised)
    app.add_exception_handler(Exception, _raised)


def status_of(error: BaseException) -> int:
    """The status of an error that was raised, whether it is a reply or breaks off a stream."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def message_of(error: BaseException) -> str:
    """What is said of it: a sentence."""
    if isinstance(error, RalmError):
        return str(error)
    if isinstance(error, OSError):
        return refused(error)
    return f"The server failed ({type(error).__name__}): its log says at what."


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error: its HTTP status, a sentence, and headers."""
    return JSONResponse({"error": described(status, message)}, status, headers)


def error_of(error: BaseException) -> dict[str, Any]:
    """An error that was raised, as it stands in a stream that it breaks off."""
    return described(status_of(error), message_of(error))


def described(status: int, message: str) -> dict[str, Any]:
    """An error as it stands in a reply: with the id of the request, where it has one."""
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    # A setting's name may be what JSON can write and UTF-8 cannot.
    message = message.encode(errors="backslashreplace").decode()
    its_id = identity.current.get()
    return {"message": message, "type": kind, "code": status} | ({"request_id": its_id} if its_id else {})


def failed(error: BaseException) -> JSONResponse:
    """What is answered for an error that was raised; whoever answers for a defect of ours logs it."""
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, Busy) else None
    return error_reply(status_of(error), message_of(error), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # FastAPI parses no body that is not said to be JSON.
        return error_reply(
            422, "The request body is not sent as JSON: add the header Content-Type: application/json."
        )
    where = error.errors()[0]["loc"][0]
    if where == "path":
        return error_reply(404, _no_route(request))
    # Every route that can be asked wrongly takes one model of a body, or one of a query.
    model = get_type_hints(request.scope["route"].endpoint)[where]
    errors = [one | {"loc": one["loc"][1:]} for one in error.errors() if one["loc"][0] == where]
    whole = "The request body" if where == "body" else "The query of the URL"
    return error_reply(422, sentence(model, errors, whole, "field of the request"))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers, path, message = error.headers or {}, written(request.scope["path"]), str(error.detail)
    if error.status_code == 405:
        takes = headers.get("Allow", "another method")
        message = f"{path} takes {takes}, not {request.method}: /docs lists the routes."
    elif error.status_code == 404 and "route" not in request.scope:
        message = _no_route(request)
    return error_reply(error.status_code, message, headers)


def _no_route(request: Request) -> str:
    return f"There is no route {written(request.scope['path'])}: /docs lists the routes."


async def _raised(_: Request, error: Exception) -> JSONResponse:
    return failed(error)
