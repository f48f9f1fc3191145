"""The FastAPI application around one answerer: routes, and errors as OpenAI's API shapes them."""

from asyncio import Lock

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from datastore.errors import RalmError
from lm.weights import ReaderError
from serve.answerer import Answerer
from serve.routes import router


def create_app(answerer: Answerer) -> FastAPI:
    """An application that serves one store and one reader, both loaded already."""
    app = FastAPI(
        title="ralm",
        description="Search a datastore, and ask a language model that reads what was found.",
        version="1",
    )
    app.state.answerer = answerer
    app.state.reading = Lock()
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RalmError, _wrong_request)
    app.add_exception_handler(ReaderError, _wrong_request)
    return app


def _error(status: int, message: str) -> JSONResponse:
    content = {"error": {"message": message, "type": "invalid_request_error", "code": status}}
    return JSONResponse(content, status)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return _error(422, f"{where or 'The request body'}: {first['msg']}.")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, str(error.detail))


async def _wrong_request(_: Request, error: Exception) -> JSONResponse:
    return _error(400, str(error))
