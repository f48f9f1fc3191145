"""How long a request may take, from its body on: 504 with a sentence where no reply has begun by then.

A stream that has begun is broken off with an error event.

Decisions: docs/decisions/serving.md.
"""

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from base.numbers import dumps
from serve.routes.errors import described, error_reply


class Deadlines:
    """Ends requests after so many `seconds`. What a model or a search has begun for one is stopped, too."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started: Message | None = None
        over = False

        async def noted(message: Message) -> None:
            nonlocal started, over
            if message["type"] == "http.response.start":
                started = message
            else:
                over = not message.get("more_body", False)
            await send(message)

        with anyio.move_on_after(self._seconds) as limit:
            await self._app(scope, receive, noted)
        if not limit.cancelled_caught or over:
            return
        sentence = f"This took longer than {self._seconds:g} s, which is the most: ask for less, or later."
        if started is None:
            await error_reply(504, sentence)(scope, receive, send)
            return
        last = b""
        if Headers(raw=started["headers"]).get("content-type", "").startswith("text/event-stream"):
            last = f"data: {dumps({'error': described(504, sentence)})}\n\n".encode()
        await send({"type": "http.response.body", "body": last, "more_body": False})
