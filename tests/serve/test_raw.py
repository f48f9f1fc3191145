"""Bytes of all kinds over real sockets: each gets a sentence, none costs memory, a second or the service."""

import gzip
import json
import logging
import os
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psutil
import pytest

from lm.batching import together
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.connections import Connection
from serve.settings import ServiceSettings
from tests.lm.models import tiny_model, tiny_reader
from tests.serve.test_connections import serving

ROUTES = (
    *("/search", "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/rerank"),
    *("/tokenize", "/detokenize", "/v1/vector_stores/vs_towns/search", "/mcp"),
)
# Requests that are right, to be spoilt.
RIGHT = {
    "/search": {"query": "blue glass", "k": 3, "view": {"fraction": 0.5, "where": ["year>=2010"]}},
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": "Who makes blue glass?"}],
        "max_tokens": 1,
        "retrieval": {"k": 1},
    },
    "/v1/completions": {"prompt": ["The old", "bridge"], "max_tokens": 1, "logprobs": 1},
    "/v1/responses": {
        "input": [{"role": "user", "content": "Who makes blue glass?"}],
        "max_output_tokens": 1,
        "tools": [{"type": "file_search", "vector_store_ids": ["vs_towns"]}],
    },
    "/v1/embeddings": {"input": ["blue glass", "ö"], "encoding_format": "base64"},
    "/v1/vector_stores/vs_towns/search": {
        "query": "glass",
        "filters": {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 1}]},
    },
    "/tokenize": {"messages": [{"role": "user", "content": "\U0001f600"}]},
    "/mcp": {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "search", "arguments": {"query": "blue glass"}},
    },
}
COUNT = int(os.environ.get("RALM_RAW_REQUESTS", "20000"))
DEEP = b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BODIES = {
    "nothing": (b"", "The request body"),
    "a list": (b"[]", "The request body"),
    "null": (b"null", "The request body"),
    "no json": (b"{'query': 1}", "is no JSON"),
    "cut off": (b'{"query": "bl', "is no JSON"),
    "deep": (DEEP, "nested too deeply"),
    "NaN": (b'{"query": "x", "k": NaN}', "no NaN and no Infinity"),
    "Infinity": (b'{"query": "x", "weight": -Infinity}', "no NaN and no Infinity"),
    "beyond a double": (b'{"query": "x", "weight": 1e999}', "JSON"),
    "a surrogate": (b'{"query": "\\ud800"}', "lone surrogate"),
    "latin": ('{"query": "é"}'.encode("latin-1"), "UTF-8"),
    "a mark of order": ('\ufeff{"query": "x"}'.encode(), "(BOM): leave that out"),
    "zero": (b"\x00" * 100, "is no JSON"),
    "gzip": (gzip.compress(b'{"query": "x"}'), "UTF-8"),
}


class Quick(Connection):
    header_seconds, stalled_seconds = 1.0, 1.0


@pytest.fixture(scope="module")
def app(store, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("raw")
    reader = together(tiny_reader(tiny_model(folder / "tiny", context=1500)))
    settings = ServiceSettings(log=folder / "log.jsonl", body_seconds=0.5, body=1 << 20)
    yield create_app(Answerer(LocalRetriever.open(store), reader), settings=settings)
    reader.stop()


@pytest.fixture(scope="module")
def served(app):
    with serving(app, Quick) as found:
        yield found


@pytest.fixture
def port(served):
    """Where it is served; at the end nobody is connected and nothing is being done."""
    server, port = served
    yield port
    until = time.monotonic() + 20
    while (server.server_state.connections or server.server_state.tasks) and time.monotonic() < until:
        Event().wait(0.02)
    assert not server.server_state.connections
    assert not server.server_state.tasks
    assert asked(port, request("GET", "/health")).startswith(b"HTTP/1.1 200 ")


def request(method: str, path: str, body: bytes | None = None, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    # Each assistant's request says so.
    lines += ["Accept: application/json, text/event-stream"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def asked(port: int, sent: bytes, half: bool = False) -> bytes:
    """What comes until the server closes; `half`: the client closes its side when it has sent all."""
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        try:
            client.sendall(sent)
            if half:
                client.shutdown(socket.SHUT_WR)
            while part := client.recv(1 << 16):
                found += part
        except (ConnectionResetError, BrokenPipeError):
            pass  # It has closed before it had read all that was sent.
    return found


def error_of(reply: bytes) -> dict:
    head, _, body = reply.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert head.startswith(b"HTTP/1.1 %d " % error["code"])
    assert 400 <= error["code"] < 500
    return error


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_none_is_refused_by_a_sentence(port, kind):
    body, reason = BODIES[kind]
    for path in ROUTES:
        reply = asked(port, request("POST", path, body))
        if path == "/mcp" and kind in ("nothing", "a list", "null"):
            assert json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"] < 0  # JSON-RPC's own.
            assert reply.startswith(b"HTTP/1.1 400 ")
            continue
        assert reason in error_of(reply)["message"], path


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_a_compressed_body_is_not_unpacked(port, coding):
    bomb = gzip.compress(bytes(100 << 20), 1)
    reply = asked(port, request("POST", "/search", bomb, f"Content-Encoding: {coding}"))
    assert error_of(reply)["code"] == 415


@pytest.mark.parametrize("how", ["told", "in chunks"])
def test_a_long_body_is_refused_before_it_has_come(port, how):
    if how == "told":
        sent = request(
            "POST", "/search", None, "Content-Type: application/json", "Content-Length: 1000000000"
        )
    else:
        head = request(
            "POST", "/search", None, "Content-Type: application/json", "Transfer-Encoding: chunked"
        )
        sent = head + b"10000\r\n" + b" " * 65536 + b"\r\n"
        sent = sent + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 40
    assert b" 413 " in asked(port, sent)[:20]


@pytest.mark.parametrize("half", [False, True])
def test_a_body_that_does_not_come_is_not_waited_for(port, half):
    sent = request("POST", "/search", b'{"query": "blue glass"}')[:-5]
    reply = asked(port, sent, half)
    assert reply == b"" if half else error_of(reply)["code"] == 408


def test_a_body_that_comes_a_byte_at_a_time_is_not_waited_for(port):
    body = b'{"query": "blue glass"}' + b" " * 1000
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(request("POST", "/search", body)[: -len(body)])
        client.settimeout(0.02)
        found = b""
        for byte in body:
            try:
                client.sendall(bytes([byte]))
                found = client.recv(1 << 16)
                break
            except TimeoutError:
                pass
        client.settimeout(20)
        while part := client.recv(1 << 16):  # Its head may come before its body.
            found += part
    assert error_of(found)["code"] == 408


def test_requests_that_are_sent_at_once_are_answered_in_their_order(port):
    body = b'{"query": "blue glass", "k": 1}'
    keeping = request("POST", "/search", body).replace(b"Connection: close\r\n", b"")
    reply = asked(port, keeping * 5 + request("GET", "/health"))
    assert reply.count(b"HTTP/1.1 200 ") == 6
    assert reply.rindex(b'"manifest"') > reply.rindex(b'"results"')


def test_clients_that_leave_at_any_moment_cost_nothing(port):
    sent = request("POST", "/v1/chat/completions", json.dumps(RIGHT["/v1/chat/completions"]).encode())
    for at in range(0, len(sent) + 1, 40):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(sent[:at])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # By a reset.


def spoilt(chance: random.Random) -> bytes:
    """A right request of which some bytes are others, more, or fewer."""
    path = chance.choice(list(RIGHT))
    sent = bytearray(request("POST", path, json.dumps(RIGHT[path]).encode()))
    if chance.random() < 0.7:  # Of the body alone, which then has another length.
        _, _, body = bytes(sent).partition(b"\r\n\r\n")
        found = bytearray(body)
        _spoil(found, chance)
        return request("POST", path, bytes(found))
    _spoil(sent, chance)
    return bytes(sent)


def _spoil(found: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found) + 1)
        more = chance.choice(
            [
                b"",
                b"\xff",
                b"\\ud800",
                b"1e99",
                b"-1",
                b"null",
                b"{}",
                b"[]",
                b'"',
                b"\x00",
                chance.randbytes(3),
            ]
        )
        found[at : at + chance.randint(0, 6)] = more


def test_spoilt_requests_are_no_defects_of_the_service(port):
    _spoil_many(port, 100, random.Random(1))


def _spoil_many(port: int, count: int, chance: random.Random, clients: int = 1) -> None:
    with ThreadPoolExecutor(clients) as pool:
        for sent, reply in pool.map(
            lambda sent: (sent, asked(port, sent)), (spoilt(chance) for _ in range(count))
        ):
            assert not reply.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")), (sent, reply)


@pytest.mark.long
def test_twenty_thousand_spoilt_requests_cost_no_memory(port, caplog):
    caplog.set_level(logging.CRITICAL, "uvicorn.error")  # Lines that a test holds are no growth.
    chance = random.Random(2)
    _spoil_many(port, 5000, chance, 16)  # What is kept is kept.
    before = psutil.Process().memory_info().rss
    for _ in range(COUNT // 1000):
        _spoil_many(port, 1000, chance, 16)
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    print(f"{grown:.1f} MB more")
    assert grown < 20
