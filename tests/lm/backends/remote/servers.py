"""A real server on this machine that answers as a test tells it to: rightly, or in one of many wrong ways."""

import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from lm.backends.remote.replicas import Timing

MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model", "max_model_len": 512}]}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class Handler(BaseHTTPRequestHandler):
    """Reads a request and lets the server's next way of answering have it."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: "FakeServer"
    body: Any = None

    def do_GET(self) -> None:
        self.server.asked.append(Received(self.path, None, dict(self.headers)))
        self.server.routes.get(self.path, status(404))(self)

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(Received(self.path, self.body, dict(self.headers)))
        route = self.server.routes.get(self.path)
        if route is None and self.path.endswith("/completions"):
            route = self.server.ways.pop(0) if self.server.ways else self.server.usual
        (route or status(404, {"detail": "Not Found"}))(self)

    def send(self, code: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, found: Any) -> None:
        self.chunk(b"data: " + (found if isinstance(found, bytes) else json.dumps(found).encode()) + b"\n\n")

    def drop(self) -> None:
        """Reset the connection, as a process that is killed does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.server.left.set()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.server.left.set()  # The client has gone away.

    def log_message(self, *_: Any) -> None: ...


Way = Callable[[Handler], None]


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    body: Any
    headers: Mapping[str, str]


class FakeServer(ThreadingHTTPServer):
    """`ways` are how the next completions are answered, `usual` how all others; `routes` answer by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ways: list[Way] = []
        self.usual: Way = answer()
        self.routes: dict[str, Way] = {"/v1/models": reply(MODELS)}
        self.asked: list[Received] = []
        # Set when a client has gone, and when all that hang are to end.
        self.left, self.over = Event(), Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def completions(self) -> list[Received]:
        return [one for one in self.asked if one.path.endswith("/completions")]

    def handle_error(self, *_: Any) -> None: ...


@contextmanager
def serving(server: FakeServer) -> Iterator[FakeServer]:
    """A server that runs in a thread."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def choice_of(handler: Handler, text: str, reason: str | None, streamed: bool = False) -> dict[str, Any]:
    """A text as the route that was asked gives it."""
    inner = "delta" if streamed else "message"
    held = {inner: {"content": text}} if handler.path.endswith("/chat/completions") else {"text": text}
    return {"choices": [{"index": 0, "finish_reason": reason, **held}]}


def reply(body: Any, **headers: str) -> Way:
    """Any JSON."""
    return lambda handler: handler.send(200, json.dumps(body).encode(), **headers)


def answer(text: str = " Paris.", reason: str | None = "stop", usage: Any = USAGE) -> Way:
    return lambda handler: reply(choice_of(handler, text, reason) | {"usage": usage})(handler)


def status(code: int, body: Any = None, **headers: str) -> Way:
    return lambda handler: handler.send(code, json.dumps(body or {}).encode(), **headers)


def html(code: int = 200) -> Way:
    return lambda handler: handler.send(code, b"<!DOCTYPE html><p>Log in</p>", "text/html; charset=utf-8")


def raw(body: bytes) -> Way:
    return lambda handler: handler.send(200, body)


def dropped(handler: Handler) -> None:
    handler.drop()


def hanging(handler: Handler) -> None:
    """Take the request and say nothing until the test is over."""
    handler.server.over.wait(30)


def half(handler: Handler) -> None:
    """Half an answer, then silence."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    hanging(handler)


def stream(
    pieces: Sequence[str], reason: str | None = "stop", end: bytes = b"[DONE]", then: Way | None = None
) -> Way:
    """A streamed text. `then` instead of its end."""

    def way(handler: Handler) -> None:
        handler.begin_stream()
        for piece in pieces:
            handler.event(choice_of(handler, piece, None, streamed=True))
        if then is not None:
            then(handler)
            return
        if reason:
            handler.event(choice_of(handler, "", reason, streamed=True))
        handler.event({"choices": [], "usage": USAGE})
        if end:
            handler.event(end)
        handler.chunk(b"")

    return way


def ended(handler: Handler) -> None:
    """A clean end of a stream that says nothing."""
    handler.chunk(b"")


def event(found: Any) -> Way:
    """One more event, and the end."""

    def way(handler: Handler) -> None:
        handler.event(found)
        handler.chunk(b"")

    return way


@dataclass
class FakeTime:
    """Time that passes when it is waited for, and chance that always lets wait in full."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def timing(self) -> Timing:
        return Timing(lambda: self.now, lambda: 1.0, self.wait)
