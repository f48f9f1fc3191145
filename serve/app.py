"""The FastAPI application around one answerer: routes, and errors as OpenAI's API shapes them.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import get_type_hints

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from base.errors import RalmError, Unavailable
from base.invalid import sentence, written
from serve.answerer import Answerer
from serve.reading import Reading
from serve.routes import router

# Between two looks at whether the store has a new generation, in seconds.
REFRESH = 0.5
# What takes longer to open is not waited for with what it takes down, in seconds.
PATIENCE = 10.0
_log = logging.getLogger("uvicorn.error")


def create_app(answerer: Answerer, refresh: float = REFRESH) -> FastAPI:
    """An application that serves one store and one reader, both loaded already.

    It looks every `refresh` seconds whether the store has a new generation, and goes over to it.
    """

    @asynccontextmanager
    async def following(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_follow(app, answerer, refresh))
        yield
        task.cancel()

    app = FastAPI(
        lifespan=following,
        title="ralm",
        description="Search a datastore, and ask a language model that reads what was found.",
        version="1",
    )
    app.state.answerer = answerer
    app.state.reading = Reading()
    app.state.behind = None  # Why a newer generation than the one served cannot be opened.
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RalmError, _wrong_request)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Exception, _failed)
    return app


async def _follow(app: FastAPI, answerer: Answerer, seconds: float) -> None:
    """Go over to new generations; hide what one hides, too, that cannot be opened, or not for a while."""
    clock, opening = asyncio.get_running_loop().time, None
    wait, began, due = seconds, 0.0, 0.0
    while True:
        await asyncio.sleep(seconds)
        if opening is None and clock() >= due:
            opening, began = asyncio.create_task(run_in_threadpool(answerer.refresh)), clock()
        ended = opening is not None and opening in (await asyncio.wait({opening}, timeout=seconds))[0]
        slow = opening is not None and clock() - began > PATIENCE
        if opening is not None and ended:
            try:
                opening.result()
                app.state.behind, wait = None, seconds
            except Exception as error:  # noqa: BLE001  (who stops looking shows for ever what is taken down)
                # The generation that is open goes on being served. Trying may read much: ever more seldom.
                wait = min(60.0, 2 * wait)
                reason = str(error) or type(error).__name__
                if reason != app.state.behind:
                    app.state.behind = reason
                    _log.warning("The store's new generation cannot be opened: %s", reason)
            opening, due = None, clock() + wait - seconds
        if slow or app.state.behind is not None:
            with suppress(Exception):  # What cannot be read for it, opening tells of.
                await run_in_threadpool(answerer.hide)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    # A setting's name may be what JSON can write and UTF-8 cannot.
    message = message.encode(errors="backslashreplace").decode()
    return JSONResponse({"error": {"message": message, "type": kind, "code": status}}, status, headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # FastAPI parses no body that is not said to be JSON.
        return _error(
            422, "The request body is not sent as JSON: add the header Content-Type: application/json."
        )
    # Every route that can be asked wrongly takes one body.
    model = get_type_hints(request.scope["route"].endpoint)["body"]
    errors = [one | {"loc": one["loc"][1:]} for one in error.errors()]
    return _error(422, sentence(model, errors, "The request body", "field of the request"))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers, path, message = error.headers or {}, written(request.scope["path"]), str(error.detail)
    if error.status_code == 405:
        takes = headers.get("Allow", "another method")
        message = f"{path} takes {takes}, not {request.method}: /docs lists the routes."
    elif error.status_code == 404 and "route" not in request.scope:
        message = f"There is no route {path}: /docs lists the routes."
    return _error(error.status_code, message, headers)


async def _wrong_request(_: Request, error: Exception) -> JSONResponse:
    return _error(400, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return _error(503, str(error))


async def _failed(_: Request, error: Exception) -> JSONResponse:
    # A defect of ours: uvicorn logs it with its traceback.
    return _error(500, f"The server failed ({type(error).__name__}): its log says at what.")
