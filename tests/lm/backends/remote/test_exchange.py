from threading import Thread

import pytest

from base.errors import RalmError, Unavailable
from lm.backends.remote.address import Address
from lm.backends.remote.exchange import TRIES, Exchange
from lm.backends.remote.failures import Malformed, Rejected
from lm.pending import Asker
from lm.reader import ReaderStopped
from tests.lm.backends.remote.servers import (
    answer,
    dropped,
    event,
    hanging,
    html,
    raw,
    status,
    stream,
)


def route(url: str) -> str:
    return f"{url}/completions"


def text(found) -> str:
    try:
        return found["choices"][0]["text"]
    except (KeyError, IndexError):
        raise Malformed("no text") from None


def exchange(time, *servers, timeout=30.0) -> Exchange:
    return Exchange(Address(tuple(one.url for one in servers), timeout=timeout), timing=time.timing)


BAD = [dropped, status(500, {"error": "oh"}), html(), raw(b'{"cho'), raw(b'{"choices": []}'), status(429)]


@pytest.mark.parametrize("way", BAD)
def test_what_passes_is_tried_again_after_growing_waits(server, time, way):
    server.ways = [way, way, way, answer("right")]
    assert exchange(time, server).ask(route, {}, text) == "right"
    assert time.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("way", BAD)
def test_after_the_last_try_one_sentence_names_the_server_and_what_came(server, time, way):
    server.usual = way
    with pytest.raises(Unavailable) as error:
        exchange(time, server).ask(route, {}, text)
    assert len(server.completions) == TRIES
    assert time.waits == [0.5, 1.0, 2.0, 4.0]
    sentence = str(error.value)
    assert server.url in sentence
    assert sentence.count(". ") == 0


def test_a_server_that_hangs_is_tried_until_the_patience_is_over(server, time):
    def slow(handler):
        time.now += 0.4
        hanging(handler)

    server.usual = slow
    with pytest.raises(Unavailable, match="nothing more in time"):
        exchange(time, server, timeout=0.3).ask(route, {}, text)
    assert len(server.completions) == 2


def test_a_server_is_left_as_long_as_it_asks(server, time):
    server.ways = [status(429, Retry_After="17"), answer("right")]
    assert exchange(time, server).ask(route, {}, text) == "right"
    assert time.waits == [17.0]


def test_a_server_that_asks_for_hours_is_not_waited_for(server, time):
    server.ways = [status(503, {"error": "busy"}, Retry_After="3600")]
    with pytest.raises(Unavailable, match=r"asks to be left for 3600 seconds .*HTTP 503: busy"):
        exchange(time, server).ask(route, {}, text)
    assert time.waits == []


def test_what_is_refused_is_not_tried_again(server, time):
    server.ways = [status(400, {"error": {"message": "maximum context length is 512"}})]
    with pytest.raises(Rejected, match="maximum context length is 512"):
        exchange(time, server).ask(route, {}, text)
    assert len(server.completions) == 1


def test_another_replica_takes_over_at_once(server, other, time):
    server.usual = dropped
    asks = exchange(time, server, other)
    assert [asks.ask(route, {}, text) for _ in range(4)] == [" Paris."] * 4
    assert time.waits == []
    assert (len(server.completions), len(other.completions)) == (1, 4)
    time.now += 1
    server.usual = answer("well again")
    assert {asks.ask(route, {}, text) for _ in range(2)} == {" Paris.", "well again"}


def test_all_replicas_are_named_if_none_answers(server, other, time):
    server.usual, other.usual = status(500, {"error": "first"}), html(503)
    with pytest.raises(Unavailable) as error:
        exchange(time, server, other).ask(route, {}, text)
    assert f"{server.url} gave HTTP 500: first" in str(error.value)
    assert f"{other.url} gave HTTP 503: HTML" in str(error.value)
    assert len(server.completions) == len(other.completions) == TRIES


def test_a_route_that_is_not_there_is_none(server, time):
    asks = exchange(time, server)
    for way in (status(404), html(), raw(b"{}"), status(403), html(404)):
        server.routes["/x"] = way
        assert asks.ask_optional(lambda url: f"{url.removesuffix('/v1')}/x", {}, text) is None
    server.routes["/x"] = answer("there")
    assert asks.ask_optional(lambda url: f"{url.removesuffix('/v1')}/x", {}, text) == "there"


def test_a_stream_is_tried_again_until_its_first_event(server, time):
    overloaded = event({"error": {"message": "overloaded", "code": 503}})
    server.ways = [status(503), dropped, stream([], then=overloaded), stream(["a", "b"])]
    found = exchange(time, server).stream(route, {})
    assert [one["choices"][0]["text"] for one in found if one["choices"]] == ["a", "b", ""]
    assert len(time.waits) == 3


def test_an_error_that_is_the_first_event_may_refuse(server, time):
    server.ways = [stream([], then=event({"error": {"message": "too long", "code": 400}}))]
    with pytest.raises(Rejected, match="too long"):
        exchange(time, server).stream(route, {})


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (dropped, "broke off"),
        (hanging, "nothing more in time"),
        (event({"error": "out of memory"}), "out of memory"),
        (event(b"[1]"), "no JSON object"),
        (event(b'{"choi'), "no JSON"),
    ],
)
def test_a_stream_that_breaks_in_the_middle_is_one_sentence(server, time, then, said):
    server.ways = [stream(["a"], then=then)]
    # Only where nothing more comes is a short time waited.
    timeout = 2.0 if then is hanging else 30.0
    found = iter(exchange(time, server, timeout=timeout).stream(route, {}))
    assert next(found)["choices"][0]["text"] == "a"
    with pytest.raises(Unavailable, match=said) as error:
        list(found)
    assert server.url in str(error.value)


def test_a_replica_is_busy_until_its_stream_has_ended(server, other, time):
    asks = exchange(time, server, other)
    server.ways = [stream(["a"], then=hanging)]
    found = asks.stream(route, {})
    for _ in range(3):
        asks.ask(route, {}, text)
    assert len(other.completions) == 3
    found.close()
    assert [*found] == [found._first]
    assert {one.busy for one in asks._replicas.all} == {0}


def test_stopping_ends_what_runs_and_refuses_the_rest(server, time):
    asks, failures = exchange(time, server, timeout=600), []
    server.usual = hanging

    def work() -> None:
        try:
            asks.ask(route, {}, text)
        except RalmError as error:
            failures.append(error)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(server.completions) < 4:
        threads[0].join(0.01)
    asks.stop()
    for thread in threads:
        thread.join(20)
    assert [type(one) for one in failures] == [ReaderStopped] * 4
    with pytest.raises(ReaderStopped):
        asks.ask(route, {}, text)


@pytest.mark.parametrize("ask", ["ask", "stream"])
def test_whoever_leaves_ends_its_request_alone_and_it_is_not_tried_again(server, time, ask):
    asks, asker, failures = exchange(time, server, timeout=600), Asker(), []
    server.usual = hanging

    def work(*more) -> None:
        try:
            asker.ask(getattr(asks, ask), route, {}, *more)
        except RalmError as error:
            failures.append(error)

    thread = Thread(target=work, args=(text,) if ask == "ask" else ())
    thread.start()
    while not server.completions:
        thread.join(0.01)
    asker.leave()
    thread.join(20)
    assert [type(one) for one in failures] == [ReaderStopped]
    assert len(server.completions) == 1
    work(*((text,) if ask == "ask" else ()))  # Who has gone asks for nothing more.
    assert len(server.completions) == 1
    server.usual = answer("right")
    assert asks.ask(route, {}, text) == "right"
