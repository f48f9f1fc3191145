"""Clients that send too much, too slowly or nothing, and those that do not read: over real sockets."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

from serve.connections import Connection, _Alarm
from serve.listening import listen
from serve.server import config_of

GET = b"GET /small HTTP/1.1\r\nHost: x\r\n"


class Impatient(Connection):
    header_bytes, header_seconds, stalled_seconds = 8 << 10, 0.4, 0.4


def application() -> FastAPI:
    app = FastAPI()
    app.state.ended = 0

    @app.get("/small")
    async def small() -> PlainTextResponse:
        return PlainTextResponse("small")

    @app.get("/large")
    async def large() -> StreamingResponse:
        async def pieces():
            try:
                for _ in range(10_000):
                    yield bytes(1 << 16)
            finally:
                app.state.ended += 1

        return StreamingResponse(pieces())

    return app


@contextmanager
def serving(app: FastAPI, connection: type[Connection]) -> Iterator[tuple[uvicorn.Server, int]]:
    """A server in a thread, and its port."""
    listener = listen("127.0.0.1", 0)
    listener.listen()
    server = uvicorn.Server(config_of(app, connection))
    thread = Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),))
    thread.start()
    try:
        yield server, listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return application()


@pytest.fixture(scope="module")
def served(app):
    with serving(app, Impatient) as found:
        yield found


@pytest.fixture
def client(served):
    with socket.create_connection(("127.0.0.1", served[1]), timeout=20) as found:
        yield found


def everything(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    try:
        while part := client.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass  # It has closed before it had read all that was sent.
    return found


def refusal(reply: bytes) -> tuple[int, str]:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    error = json.loads(body)["error"]
    assert head.startswith(b"HTTP/1.1 %d " % error["code"])
    return error["code"], error["message"]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET /small HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /small HTTP/1.1\r\nA: \x00\r\n\r\n",
        b"POST /small HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /small HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(client, sent):
    client.sendall(sent)
    status, sentence = refusal(everything(client))
    assert status == 400
    assert sentence == "This is no request of HTTP/1.1."


@pytest.mark.parametrize("kind", ["one line", "many lines", "address", "without an end"])
def test_long_headers_are_refused(client, kind):
    sent = {
        "one line": GET + b"A: " + b"a" * 9000 + b"\r\n\r\n",
        "many lines": GET + b"A: b\r\n" * 4000 + b"\r\n",
        "address": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
        "without an end": GET + b"A: " + b"a" * 9000,
    }[kind]
    client.sendall(sent)
    assert refusal(everything(client)) == (
        431,
        "The request's first line and headers are longer than 8 KiB: send what is long as the body.",
    )


def sent_until_refused(client: socket.socket, most: int, part: bytes, pause: float = 0) -> int:
    """Bytes of the parts that were sent before the server had enough of it."""
    client.setblocking(False)
    sent = 0
    while sent < most:
        try:
            sent += client.send(part)
        except BlockingIOError:
            pass
        except OSError:
            break
        try:
            if client.recv(1 << 16) == b"":
                break
        except BlockingIOError:
            Event().wait(pause)
        except OSError:
            break
    return sent


def test_headers_without_an_end_are_not_held(client):
    assert sent_until_refused(client, 1 << 27, b"a" * (1 << 16)) < 1 << 25  # What the system's buffers take.


@pytest.mark.parametrize("begun", [b"", b"GET /sm", GET])
def test_who_does_not_say_what_it_wants_is_not_waited_for(client, begun):
    client.sendall(begun)
    reply = everything(client)
    assert refusal(reply)[0] == 408 if begun else reply == b""


def test_a_line_at_a_time_is_no_excuse(client):
    client.sendall(GET)
    assert sent_until_refused(client, 6 * 500, b"A: b\r\n", 0.02) < 6 * 250


def test_a_connection_serves_several_requests_and_pauses_between_them_count_for_nothing(client):
    for _ in range(3):
        client.sendall(GET + b"\r\n")
        reply = b""
        while not reply.endswith(b"small"):  # Its head may come before its body.
            part = client.recv(1 << 16)
            assert part, "the server has closed"
            reply += part
        client.settimeout(0.6)
        with pytest.raises(TimeoutError):
            client.recv(1)  # Longer than headers may take.
        client.settimeout(20)


def test_a_client_that_does_not_read_is_let_go(app, served, client):
    before = app.state.ended
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    deadline = time.perf_counter() + 15
    while app.state.ended == before and time.perf_counter() < deadline:
        Event().wait(0.02)
    assert app.state.ended == before + 1
    assert not served[0].server_state.connections


class Slow:
    """A transport whose client takes so many bytes between two looks at it; then no more."""

    def __init__(self, *waiting: int) -> None:
        self.waiting, self.aborted = list(waiting), False

    def get_write_buffer_size(self) -> int:
        return self.waiting[0]

    def abort(self) -> None:
        self.aborted = True


class Clock:
    """A loop's timers, which ring when they are told to."""

    def __init__(self) -> None:
        self.calls = []

    def call_later(self, seconds, call):
        self.calls.append(call)
        return Handle()


class Handle:
    def cancel(self) -> None:
        pass


def test_a_client_that_takes_a_little_each_time_is_kept_until_it_takes_no_more(monkeypatch):
    monkeypatch.setattr("serve.connections.HttpToolsProtocol.pause_writing", lambda self: None)
    connection, clock = Connection.__new__(Connection), Clock()
    connection.transport = Slow(300, 200, 100, 100)
    connection._taken_due = _Alarm(clock)
    connection.pause_writing()
    kept = []
    while clock.calls:
        connection.transport.waiting.pop(0)
        clock.calls.pop()()
        kept.append(not connection.transport.aborted)
    assert kept == [True, True, False]


def test_a_client_that_closes_its_side_is_taken_for_gone(client):
    client.sendall(GET)
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b""
