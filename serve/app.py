"""The FastAPI application around one answerer: what is in it, what stands before it, what counts it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from lm.batching import BatchingReader
from lm.reader import Completion
from serve.admission.access import Access
from serve.admission.bodies import Bodies
from serve.admission.deadlines import Deadlines
from serve.admission.journal import Journal
from serve.admission.keys import Keys
from serve.admission.leaving import Leaving
from serve.admission.requests import Requests
from serve.answering.answerer import Answerer
from serve.answering.places import Places
from serve.following import REFRESH, load_and_follow
from serve.metrics import Metrics
from serve.queues.reading import Reading
from serve.queues.searching import SearchQueue
from serve.routes import chat, completions, embedding, health, metrics, models, page, responses, search
from serve.routes.errors import handle_errors
from serve.routes.mcp.http import add_mcp, running_mcp
from serve.routes.stores import documents, files, vector_stores
from serve.settings import OPEN_TO_ALL, ServiceSettings


@runtime_checkable
class Counted(Protocol):
    """A reader that tells how many wait for it, and of the texts that it has read."""

    told: Callable[[Sequence[Completion]], None]

    @property
    def waiting(self) -> int: ...


def create_app(
    answerer: Answerer | Callable[[], Answerer],
    refresh: float = REFRESH,
    settings: ServiceSettings = OPEN_TO_ALL,
) -> FastAPI:
    """An application that serves one store and one reader: loaded already, or loaded once it runs.

    Until they are loaded it says so. It looks every `refresh` seconds whether the store has a new generation,
    and goes over to it.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(load_and_follow(app.state, refresh))
        async with running_mcp(app):
            yield
        task.cancel()

    app = FastAPIOffline(
        lifespan=running,
        title="ralm",
        description="Search a datastore, and ask a language model that reads what was found.",
        version="1",
    )
    app.state.reading, app.state.searches = Reading(), SearchQueue(batches=settings.batches)
    app.state.searches.limits = app.state.limits = settings.limits
    app.state.places = Places()
    app.state.answerer, app.state.failure = None, None  # One of them is set once loading has ended.
    app.state.behind = None  # Why a newer generation than the one served cannot be opened.
    asking = (search, chat, completions, responses, embedding, models)
    # A request is compared with one after the other: those that come often stand first.
    for dialect in (*asking, vector_stores, files, documents, page, health, metrics):
        app.include_router(dialect.router)
    add_mcp(app, settings.origins)
    handle_errors(app)
    _admit(app, settings)
    if callable(answerer):
        app.state.load = lambda: _join(app, answerer())
    else:
        _join(app, answerer)
    return app


def _join(app: FastAPI, answerer: Answerer) -> None:
    """Let an application answer, and count what waits for the reader and is read."""
    answerer.limits = app.state.limits
    answerer.find = app.state.searches.find  # What answers search for waits with other searches.
    if isinstance(answerer.reader, Counted):
        _count_reading(app.state.metrics, answerer.reader)
    app.state.answerer = answerer


def _count_searches(metrics: Metrics, searches: SearchQueue) -> None:
    metrics.waiting("search", lambda: searches.waiting)
    metrics.cached("vectors", searches.together.vectors.kept.lookups)
    metrics.cached("rankings", searches.together.results.lookups)
    searches.batched = metrics.batch
    searches.answered = lambda found: metrics.stages(found.seconds)


def _count_reading(metrics: Metrics, reader: Counted) -> None:
    metrics.waiting("read", lambda: reader.waiting)

    def read(texts: Sequence[Completion]) -> None:
        if isinstance(reader, BatchingReader):  # Of others, texts come one by one.
            metrics.batch("read", len(texts))
        metrics.tokens(sum(one.prompt_tokens for one in texts), sum(one.tokens for one in texts))
        for took in (one.took for one in texts if one.took is not None):
            metrics.stages({"read-queue": took.queue, "prefill": took.prefill, "decode": took.decode})

    reader.told = read


def _admit(app: FastAPI, settings: ServiceSettings) -> None:
    """Put before the routes what each request passes; the last one is the first that it meets."""
    metrics = app.state.metrics = Metrics()
    _count_searches(metrics, app.state.searches)
    journal = Journal(settings.log, metrics.line_lost)
    app.add_middleware(Leaving)
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
