"""The FastAPI application around one answerer: what is in it, and how it follows the store.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from serve.admission.access import Access
from serve.admission.bodies import Bodies
from serve.admission.deadlines import Deadlines
from serve.admission.journal import Journal
from serve.admission.keys import Keys
from serve.admission.requests import Requests
from serve.answering.answerer import Answerer
from serve.answering.places import Places
from serve.metrics import Metrics
from serve.queues.reading import Reading
from serve.queues.searching import SearchQueue
from serve.routes import chat, completions, health, metrics, responses, search
from serve.routes.errors import handle_errors
from serve.routes.mcp.http import add_mcp, running_mcp
from serve.routes.stores import documents, files, vector_stores
from serve.settings import OPEN_TO_ALL, ServiceSettings

# Between two looks at whether the store has a new generation, in seconds.
REFRESH = 0.5
# What takes longer to open is not waited for with what it takes down, in seconds.
PATIENCE = 10.0
_log = logging.getLogger("uvicorn.error")


def create_app(
    answerer: Answerer, refresh: float = REFRESH, settings: ServiceSettings = OPEN_TO_ALL
) -> FastAPI:
    """An application that serves one store and one reader, both loaded already.

    It looks every `refresh` seconds whether the store has a new generation, and goes over to it.
    """

    @asynccontextmanager
    async def following(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_follow(app, answerer, refresh))
        async with running_mcp(app):
            yield
        task.cancel()

    app = FastAPIOffline(
        lifespan=following,
        title="ralm",
        description="Search a datastore, and ask a language model that reads what was found.",
        version="1",
    )
    app.state.answerer = answerer
    app.state.reading, app.state.searches = Reading(), SearchQueue()
    answerer.find = app.state.searches.find  # What answers search for waits with other searches.
    app.state.places = Places()
    app.state.behind = None  # Why a newer generation than the one served cannot be opened.
    dialects = (health, metrics, search, chat, completions, responses, vector_stores, files, documents)
    for dialect in dialects:
        app.include_router(dialect.router)
    add_mcp(app, settings.origins)
    handle_errors(app)
    _admit(app, settings)
    return app


def _admit(app: FastAPI, settings: ServiceSettings) -> None:
    """Put before the routes what each request passes; the last one is the first that it meets."""
    metrics = app.state.metrics = Metrics()
    journal = Journal(settings.log, metrics.line_lost)
    app.add_middleware(Deadlines, seconds=settings.seconds)
    app.add_middleware(Bodies, most=settings.body, seconds=settings.body_seconds)
    app.add_middleware(Access, keys=Keys(settings.keys), per_minute=settings.per_minute)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after"],
        )
    app.add_middleware(Requests, metrics=metrics, journal=journal, prompts=settings.prompts)


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
