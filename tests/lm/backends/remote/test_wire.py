import socket
from threading import Event, Thread

import pytest

from base.errors import RalmError
from lm.backends.remote.failures import Broken, Malformed, Rejected
from lm.backends.remote.wire import Connection, Wire
from tests.lm.backends.remote.servers import (
    Way,
    answer,
    dropped,
    ended,
    half,
    hanging,
    html,
    raw,
    status,
    stream,
)

# Ways in which nothing comes: for these alone a short time is waited, all others may be slow.
SILENT: list[Way] = [hanging, half, (stalled := stream(["a"], then=hanging))]


@pytest.fixture
def wire(request) -> Wire:
    params = getattr(request.node, "callspec", None)
    silent = params is not None and params.params.get("way") in SILENT
    return Wire(timeout=0.2 if silent else 30, key="my-key")


def completion(server) -> str:
    return f"{server.url}/completions"


def test_an_answer_is_its_json_and_the_key_goes_with_the_request(server, wire):
    assert wire.ask(completion(server), {"prompt": "a"})["choices"][0]["text"] == " Paris."
    (asked,) = server.asked
    assert (asked.body, asked.headers["Authorization"]) == ({"prompt": "a"}, "Bearer my-key")
    Wire(1, "").ask(f"{server.url}/models", None)
    assert "Authorization" not in server.asked[-1].headers


@pytest.mark.parametrize(
    ("way", "kind", "said"),
    [
        (dropped, Broken, "."),
        (hanging, Broken, "nothing more in time"),
        (half, Broken, "nothing more in time"),
        (html(), Malformed, "HTML instead of JSON"),
        (html(502), Broken, "HTTP 502: HTML"),
        (raw(b'{"choices": [{"te'), Malformed, "no JSON"),
        (raw(b""), Malformed, "no JSON"),
        (raw(b"[" * 100_000), Malformed, "no JSON"),
        (status(429, Retry_After="3"), Broken, "HTTP 429"),
        (status(400, {"error": {"message": "too long"}}), Rejected, "too long"),
        (status(307, Location="http://b/v1"), Rejected, "http://b/v1"),
    ],
)
def test_whatever_comes_instead_is_told_apart(server, wire, way, kind, said):
    server.ways = [way]
    with pytest.raises(kind, match=said):
        wire.ask(completion(server), {})


def test_a_server_that_is_not_there_is_broken(wire):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Broken, match="refused"):
        wire.ask(f"http://127.0.0.1:{port}/v1/completions", {})


def test_the_key_is_not_repeated(server, wire):
    server.ways = [status(401, {"error": {"message": "Incorrect key my-key."}})]
    with pytest.raises(Rejected, match=r"RALM_READER_KEY") as rejected:
        wire.ask(completion(server), {})
    assert "my-key" not in str(rejected.value)
    assert "***" in str(rejected.value)
    with pytest.raises(RalmError, match="RALM_READER_KEY"):
        Wire(1, "two\nlines")


def test_an_answer_that_trickles_is_given_up(server):
    times = iter([0.0, 700.0])
    wire = Wire(600, "", lambda: next(times))
    server.ways = [answer()]
    with pytest.raises(Broken, match="no whole answer in 600 seconds"):
        wire.ask(completion(server), {})


def test_a_stream_gives_its_events_up_to_done(server, wire):
    server.ways = [stream(["a", "b"])]
    found = [*wire.stream(completion(server), {}, Connection())]
    assert [one["choices"][0]["text"] for one in found if one["choices"]] == ["a", "b", ""]


@pytest.mark.parametrize(
    ("way", "kind", "said"),
    [
        (stream(["a"], then=dropped), Broken, "."),
        (stalled, Broken, "nothing more in time"),
        (stream(["a"], then=lambda handler: handler.event(b'{"choi')), Broken, "."),
        (answer(), Malformed, "application/json instead of a stream"),
        (html(), Malformed, "HTML instead of a stream"),
        (status(503, {"error": "loading"}), Broken, "HTTP 503: loading"),
        (status(400, {"error": "no"}), Rejected, "no"),
        (hanging, Broken, "nothing more in time"),
    ],
)
def test_a_stream_that_breaks_says_how(server, wire, way, kind, said):
    server.ways = [way]
    with pytest.raises(kind, match=said):
        [*wire.stream(completion(server), {}, Connection())]


def test_signs_of_life_do_not_keep_a_stream_for_ever(server):
    def pings(handler):
        handler.begin_stream()
        for _ in range(3):
            handler.chunk(b": ping\n\n")
        handler.server.over.wait(30)

    times = iter([0.0, 300.0, 601.0])
    server.ways = [pings]
    with pytest.raises(Broken, match="signs of life"):
        [*Wire(600, "", lambda: next(times, 601.0)).stream(completion(server), {}, Connection())]


def test_pieces_after_the_first_may_not_take_as_long_as_it(server, monkeypatch):
    monkeypatch.setattr("lm.backends.remote.wire.BETWEEN", 0.1)
    server.ways = [stream(["a"], then=hanging)]
    events = Wire(600, "").stream(completion(server), {}, Connection())
    assert next(events)["choices"][0]["text"] == "a"
    with pytest.raises(Broken, match="nothing more in time"):
        next(events)


def test_whoever_reads_a_stream_may_take_longer(server, monkeypatch):
    monkeypatch.setattr("lm.backends.remote.wire.BETWEEN", 0.05)
    read = Event()

    def rest(handler):
        read.wait(20)
        handler.event({"choices": []})
        ended(handler)

    server.ways = [stream(["a"], then=rest)]
    events = Wire(600, "").stream(completion(server), {}, Connection())
    next(events)
    assert not read.wait(0.2)  # As long as nobody asks for more, nothing is late.
    read.set()
    assert [*events] == [{"choices": []}]


@pytest.mark.parametrize("way", [hanging, half, stream(["a"], then=hanging)])
def test_what_runs_is_ended_from_another_thread(server, way):
    wire, failures = Wire(600, ""), []
    server.ways = [way]

    def work() -> None:
        try:
            [*wire.stream(completion(server), {}, Connection())]
        except Broken as broken:
            failures.append(broken)

    thread = Thread(target=work)
    thread.start()
    while not (server.completions and wire._running):
        thread.join(0.01)
    wire.end()
    thread.join(20)
    assert len(failures) == 1
    with pytest.raises(Broken):
        wire.ask(f"{server.url}/models", None)
