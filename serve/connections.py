"""Connections and how patient the server is with them: with headers, and with clients that do not read.

uvicorn's protocol puts no bound to either: a client could send headers until the memory is full, or hold
connections for ever. Bodies have theirs in `serve/admission/bodies.py`.

Decisions: docs/decisions/serving.md.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from base.numbers import dumps
from serve.routes.errors import described


class Connection(HttpToolsProtocol):
    """uvicorn's, with bounds. What is no HTTP is refused in the shape that all errors have."""

    # Bytes of a request's first line and headers.
    header_bytes: ClassVar[int] = 64 << 10
    # From a connection's beginning, or from the first byte behind a reply, until the headers are whole.
    header_seconds: ClassVar[float] = 30.0
    # A client that takes nothing for so long is gone.
    stalled_seconds: ClassVar[float] = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._headers_due, self._taken_due = _Alarm(self.loop), _Alarm(self.loop)
        # Whether a request has begun whose headers are not whole.
        self._begun = False
        # Bytes since something was understood: the parser holds them.
        self._held = 0
        self._refusal: tuple[int, str] = 400, "This is no request of HTTP/1.1."

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._headers_due.clear()
        self._taken_due.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """It has sent something."""
        if self.cycle is None or self.cycle.response_complete:
            self._await_headers()
        self._held += len(data)
        super().data_received(data)
        if self._held > self.header_bytes and not self.transport.is_closing():
            self._too_long()
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """A request has begun."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request's headers are whole."""
        self._held = 0
        # Each line has a colon, a space and two for its end.
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if length > self.header_bytes:
            self._too_long()
            raise ValueError  # The parser stops at any.
        self._begun = False
        self._headers_due.clear()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._held = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be understood; a reply that has begun is cut off."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        status, sentence = self._refusal
        body = dumps({"error": described(status, sentence)}).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """More waits to be taken than is kept."""
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        """It has been taken."""
        self._taken_due.clear()
        super().resume_writing()

    def _expect_taking(self) -> None:
        """Look again after a while. Writing resumes only once nearly all is taken, which may take longer."""
        waiting = self.transport.get_write_buffer_size()

        def look() -> None:
            self._taken_due.clear()
            if self.transport.get_write_buffer_size() < waiting:
                self._expect_taking()
            else:
                self.transport.abort()

        self._taken_due.set(self.stalled_seconds, look)

    def _too_long(self) -> None:
        most = f"{self.header_bytes >> 10} KiB"
        self._refusal = (
            431,
            f"The request's first line and headers are longer than {most}: send what is long as the body.",
        )

    def _await_headers(self) -> None:
        self._headers_due.set(self.header_seconds, self._late)

    def _late(self) -> None:
        if not self._begun:  # A client that keeps its connection would take it for its next reply.
            self.transport.close()
            return
        self._refusal = (
            408,
            f"The request's headers did not come within {self.header_seconds:g} s: send them at once.",
        )
        self.send_400_response("")


class _Alarm:
    """Something that is done after a while, unless it is cleared before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, call: Callable[[], object]) -> None:
        """Do it in so many seconds; if it is set already, when it was to be done."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, call)

    def clear(self) -> None:
        """Do not do it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
