import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import Busy, RalmError, Unavailable
from client.wire import LONGEST_WAIT, Retries, Wire
from lm.backends.remote.failures import Rejected


def said(status, sentence, **headers):
    return httpx.Response(status, json={"error": {"message": sentence}}, headers=headers)


class Script:
    """A service that gives one thing after another, and what it was asked and waited for."""

    def __init__(self, *replies):
        self.replies, self.asked, self.waits = list(replies), [], []

    def __call__(self, request):
        self.asked.append(request)
        found = self.replies.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def wire(self, key="", address="http://service", **retries):
        how = Retries(wait=self.waits.append, chance=lambda: 0.0, **retries)
        return Wire(address, key, how, httpx.Client(transport=httpx.MockTransport(self)))


FINE = {"fine": True}


@pytest.mark.parametrize(
    "passing",
    [
        said(429, "Wait."),
        said(503, "Not now."),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("closed"),
    ],
)
def test_what_passes_is_tried_again_after_growing_waits(passing):
    service = Script(passing, passing, httpx.Response(200, json=FINE))
    assert service.wire().ask("/search", {"query": "x"}) == FINE
    assert service.waits == [0.25, 0.5]
    assert {bytes(one.content) for one in service.asked} == {b'{"query": "x"}'}


def test_a_service_is_left_as_long_as_it_asks():
    service = Script(said(429, "Wait.", **{"Retry-After": "7"}), httpx.Response(200, json=FINE))
    service.wire().ask("/search", {})
    assert service.waits == [7.0]


@pytest.mark.parametrize(
    ("passing", "kind", "sentence"),
    [
        (said(429, "Too many wait."), Busy, "Too many wait."),
        (said(503, "It is stopping."), Unavailable, "It is stopping."),
        (
            httpx.ConnectError("refused"),
            Unavailable,
            "does not answer (refused): see whether `ralm serve` runs",
        ),
    ],
)
def test_the_last_try_says_what_came(passing, kind, sentence):
    service = Script(*[passing] * 3)
    with pytest.raises(kind) as raised:
        service.wire(tries=3).ask("/search", {})
    assert sentence in str(raised.value)
    assert len(service.waits) == 2


def test_a_service_that_asks_to_be_left_for_long_is_not_waited_for():
    service = Script(said(429, "Come back in an hour.", **{"Retry-After": "3600"}))
    with pytest.raises(Busy, match="in an hour") as raised:
        service.wire().ask("/search", {})
    assert (raised.value.seconds, service.waits) == (3600, [])


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 504])
def test_what_is_refused_is_not_tried_again(status):
    service = Script(said(status, "k must be at least 1."))
    with pytest.raises(Rejected) as raised:
        service.wire().ask("/search", {})
    assert (str(raised.value), raised.value.status) == ("k must be at least 1.", status)
    assert service.waits == []


def test_what_is_at_work_on_a_request_is_not_asked_again():
    service = Script(httpx.ReadTimeout("late"))
    with pytest.raises(Unavailable, match="nothing in time"):
        service.wire().ask("/search", {})
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (httpx.Response(200, text="<html>"), "does not answer as ralm does: see whether"),
        (httpx.Response(404, html="<html>"), "does not answer as ralm does (HTTP 404: HTML)"),
        (httpx.Response(404, json={"detail": "Not Found"}), "(HTTP 404: Not Found)"),
        (
            httpx.Response(307, headers={"Location": "https://there"}),
            "to another address (https://there): give that one.",
        ),
    ],
)
def test_an_answer_of_another_program_is_a_sentence(reply, sentence):
    with pytest.raises(RalmError) as raised:
        Script(reply).wire().ask("/search", {})
    assert sentence in str(raised.value)


@pytest.mark.parametrize("address", ["http://service", "http://service/", " http://service/v1/ "])
def test_routes_stand_behind_the_address_and_the_key_in_a_header(address):
    service = Script(httpx.Response(200, json=FINE))
    service.wire("a-key", address).ask("/search", {})
    (asked,) = service.asked
    assert str(asked.url) == "http://service/search"
    assert asked.headers["Authorization"] == "Bearer a-key"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "service",
        "localhost:8000",
        "ftp://service",
        "http://",
        "http://a:b",
        "http://k@service",
        "http://s?a=b",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(RalmError, match=r"write it like http://127\.0\.0\.1:8000"):
        Script().wire(address=address)


@pytest.mark.parametrize("key", ["käse", "two\nlines"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(RalmError, match="no key has"):
        Script().wire(key)


@given(st.integers(1, 50), st.floats(0, 1), st.floats(0, 100))
def test_a_wait_is_bounded_and_never_shorter_than_asked(tried, chance, asked):
    found = Retries(chance=lambda: chance).delay(tried, asked)
    assert asked <= found <= max(asked, LONGEST_WAIT)
