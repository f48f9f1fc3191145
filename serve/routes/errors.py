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


def handle_errors(app: FastAPI) -> None:
    """Let an application answer whatever goes wrong with an error of this shape."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RalmError, _wrong_request)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(OSError, _lost)
    app.add_exception_handler(Exception, _failed)


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error: its HTTP status, a sentence, and headers."""
    return JSONResponse({"error": described(status, message)}, status, headers)


def error_of(error: BaseException) -> dict[str, Any]:
    """An error as it stands in a stream that it breaks off."""
    if not isinstance(error, RalmError):
        return described(500, _failure(error))
    return described(503 if isinstance(error, Unavailable) else 400, str(error))


def described(status: int, message: str) -> dict[str, Any]:
    """An error as it stands in a reply: with the id of the request, where it has one."""
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    # A setting's name may be what JSON can write and UTF-8 cannot.
    message = message.encode(errors="backslashreplace").decode()
    its_id = identity.current.get()
    return {"message": message, "type": kind, "code": status} | ({"request_id": its_id} if its_id else {})


def failed(error: Exception) -> JSONResponse:
    """What is answered for a defect of ours; whoever answers logs it with its traceback."""
    return error_reply(500, _failure(error))


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


async def _wrong_request(_: Request, error: Exception) -> JSONResponse:
    return error_reply(400, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return error_reply(503, str(error))


async def _busy(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Busy)
    return error_reply(429, str(error), {"Retry-After": str(error.seconds)})


async def _lost(_: Request, error: Exception) -> JSONResponse:
    # A file that is gone, a full disk: it may be mended while the service runs.
    assert isinstance(error, OSError)
    return error_reply(503, refused(error))


async def _failed(_: Request, error: Exception) -> JSONResponse:
    return failed(error)


def _failure(error: BaseException) -> str:
    return f"The server failed ({type(error).__name__}): its log says at what."
