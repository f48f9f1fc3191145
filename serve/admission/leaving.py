"""Clients that leave before their reply has begun: what is done for them ends, wherever it waits.

A reply that comes in pieces sees by itself that its client has gone.

Decisions: docs/decisions/serving.md.
"""

import asyncio

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Leaving:
    """Cancels a request whose client has gone. It stands behind what reads bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        come: asyncio.Queue[Message] = asyncio.Queue()
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async def watch(limit: anyio.CancelScope) -> None:
            message = await receive()
            while message["type"] != "http.disconnect":
                come.put_nowait(message)
                message = await receive()
            come.put_nowait(message)
            if not begun:
                limit.cancel()

        with anyio.CancelScope() as limit:
            watching = asyncio.create_task(watch(limit))
            try:
                await self._app(scope, come.get, noted)
            finally:
                watching.cancel()
