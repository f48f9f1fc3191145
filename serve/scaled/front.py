"""The front: the HTTP application, over deployments in place of models and shards.

Decisions: docs/decisions/scaling-out.md.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datastore.objects.origin import locate
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.batching import together
from lm.reader import Reader
from retriever.cluster.actors import Searchers
from retriever.cluster.retriever import ClusterRetriever
from retriever.opening import names_of
from retriever.retriever import Retriever
from retriever.several import SeveralRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.scaled.calls import Calls
from serve.scaled.encoder import DeployedOpening
from serve.scaled.reader import DeployedReader
from serve.scaled.searchers import DeployedSearchers
from serve.settings import ServiceSettings

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle


# How long a search waits for a group of shards, in seconds: for a replica that is lost another one starts.
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: stores, a reader, and how requests are admitted.

    `encoder` and `query_encoder` are where the stores' encoders lie now, if they have moved. The shards of
    each store lie in so many `groups`; with `partial`, answers come without those of a lost one.
    """

    stores: tuple[str, ...]
    choice: ReaderChoice = field(default_factory=ReaderChoice)
    settings: ServiceSettings = field(default_factory=ServiceSettings)
    encoder: str | None = None
    query_encoder: str | None = None
    groups: int = 1
    partial: bool = False


class Identified:
    """An application whose replies bear their request's id: Ray Serve's proxy puts it there, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def once(message: Message) -> None:
            if message["type"] == "http.response.start":
                given, headers = Headers(scope=scope).get("x-request-id"), MutableHeaders(scope=message)
                if headers.get("x-request-id") == given:
                    del headers["x-request-id"]
            await send(message)

        await self._app(scope, receive, once)


class Front:
    """What runs in a replica of the front. It holds what stores say of themselves, and no model."""

    async def __init__(  # type: ignore[misc]  # Ray Serve waits for it.
        self,
        served: Served,
        encoder: "DeploymentHandle",
        searchers: "Sequence[DeploymentHandle]",
        reader: "DeploymentHandle | None",
    ) -> None:
        """Load all: a replica is asked once it can answer. `reader` is None where a server has it."""
        self._served = served
        self._encoder = Calls(encoder, "The encoder")
        self._searchers = [Calls(one, f"Searcher {number}") for number, one in enumerate(searchers)]
        self._reader = None if reader is None else Calls(reader, "The reader")
        # In a thread: on its event loop nothing may wait for other deployments.
        self._answerer = await asyncio.to_thread(lambda: Answerer(self._retriever(), self._opened_reader()))

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application."""
        return Identified(create_app(self._answerer, settings=self._served.settings))

    def _opened_reader(self) -> Reader:
        if self._reader is None:
            return together(open_reader(self._served.choice))
        return DeployedReader(self._reader)

    def _retriever(self) -> Retriever:
        served = self._served
        how = DeployedOpening(encoder=served.encoder, query_encoder=served.query_encoder, calls=self._encoder)
        paths = [locate(store).absolute() for store in served.stores]
        searchers = Searchers(served.groups, served.partial, _PATIENCE)

        def opened(number: int) -> ClusterRetriever:
            holders: Any = DeployedSearchers(served.stores[number], self._searchers)
            return ClusterRetriever.over(holders, paths[number], searchers, how)

        if len(paths) == 1:
            return opened(0)
        return SeveralRetriever(
            {name: opened(number) for number, name in enumerate(names_of(paths))}
        ).loaded()
