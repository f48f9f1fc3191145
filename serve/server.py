"""uvicorn's server, which a signal ends at once: what is being generated, too."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from serve.connections import Connection

# How long replies that have begun may take to end, in seconds, and connections to close.
_GRACE_SECONDS = 2


def config_of(app: FastAPI, connection: type[Connection] = Connection) -> uvicorn.Config:
    """How an application is served."""
    # uvloop, where it is installed, would keep signals from whoever waits for them outside the loop. No route
    # has a web socket: what asks for one is a request as others.
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=connection,
        ws="none",
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


class Server(uvicorn.Server):
    """Serves an application until SIGINT or SIGTERM; `run` returns then, and nothing generates any more.

    It returns, too, if what the application is to serve cannot be loaded.
    """

    def __init__(self, app: FastAPI) -> None:
        super().__init__(config_of(app))
        self._state = app.state

    async def on_tick(self, counter: int) -> bool:
        """Whether it is to end: asked ten times a second."""
        return await super().on_tick(counter) or self._state.failure is not None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals as they come, and raise none again: whoever runs the server ends the process."""

        # No method: sse-starlette looks for uvicorn's behind the handler, and would cut streams off before
        # they have said why they end.
        def stop(number: int, frame: FrameType | None) -> None:
            self.should_exit = True
            if self._state.answerer is not None:
                self._state.answerer.reader.stop()
            # What could not end in time is no error: the process does.
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
