"""`/mcp`: the protocol over HTTP (streamable, without sessions), as a part of the application.

Each request stands alone, so any replica may answer it. A page of another site may not ask: its `Origin` is
refused, unless it is this machine's own or let in.

Decisions: docs/decisions/serving.md.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from retriever.retriever import Retriever
from serve.routes.errors import error_reply
from serve.routes.mcp.tools import Tools

PATH = "/mcp"
_OWN = ("localhost", "127.0.0.1", "::1")


class _Endpoint:
    """What answers at the path: the protocol's handler, once the application runs."""

    def __init__(self, origins: frozenset[str]) -> None:
        self.handler: ASGIApp | None = None
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        origin = request.headers.get("origin")
        if origin is not None and not (self._origins & {origin, "*"} or _is_own(origin)):
            reply = error_reply(403, f"Pages of {origin} may not ask {PATH}: `--cors-origin` lets them in.")
            await reply(scope, receive, send)
        elif self.handler is None or request.app.state.answerer is None:
            await error_reply(503, "The server is starting or stopping.")(scope, receive, send)
        else:
            await self.handler(scope, receive, send)


def _is_own(origin: str) -> bool:
    try:
        return urlsplit(origin).hostname in _OWN
    except ValueError:
        return False


def add_mcp(app: FastAPI, origins: Collection[str] = ()) -> None:
    """Let an application answer at the path while `running_mcp` is entered; pages of these origins, too."""
    app.state.mcp = _Endpoint(frozenset(origins))
    app.router.routes.append(Route(PATH, app.state.mcp, methods=["GET", "POST", "DELETE"]))


@asynccontextmanager
async def running_mcp(app: FastAPI) -> AsyncIterator[None]:
    """Serve an application's store as tools for as long as this is entered: once for each application."""
    from mcp.server.transport_security import TransportSecuritySettings

    from serve.routes.mcp.server import server_of

    def retriever() -> Retriever:
        found: Retriever | None = app.state.answerer.retriever
        assert found is not None  # A server always has a store.
        return found

    server = server_of(Tools(retriever, app.state.places, app.state.searches.found), "", version("ralm"))
    # By which name a server is reached only its operator knows: it is not checked here.
    open_to_all = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server.streamable_http_app(json_response=True, stateless_http=True, transport_security=open_to_all)
    async with server.session_manager.run():
        app.state.mcp.handler = server.session_manager.asgi_app
        try:
            yield
        finally:
            app.state.mcp.handler = None
