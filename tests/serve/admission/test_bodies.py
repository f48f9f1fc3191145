import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.admission.bodies import Bodies
from tests.serve.admission.applications import client_of, echoing

POST = {"type": "http", "method": "POST", "path": "/", "headers": []}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client():
    app = echoing()
    app.add_middleware(Bodies, most=100_000, seconds=30)
    return client_of(app)


def refused(reply, status):
    assert reply.status_code == status
    return reply.json()["error"]["message"]


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000])
def test_a_body_comes_through_as_it_was_sent(client, size):
    assert client.post("/", content=b"x" * size).json()["body"] == "x" * size
    assert client.post("/", content=iter([b"x" * size, b"y"][: 1 + (size < 100_000)])).status_code == 200


def test_what_is_too_long_is_refused_said_or_not(client):
    sentence = "The request body is longer than 100.0 KB: send less at once."
    assert refused(client.post("/", content=b"x" * 100_001), 413) == sentence
    assert refused(client.post("/", content=iter([b"x" * 60_000] * 2)), 413) == sentence


def test_a_length_alone_is_enough_to_refuse():
    """Nothing of the body is waited for."""

    async def never():
        raise AssertionError("the body was read")

    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-length", b"99999999999999")],
    }
    anyio.run(Bodies(echoing(), 10, 30), scope, never, send)
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_body_that_does_not_come_is_not_waited_for():
    sent = []

    async def send(message):
        sent.append(message)

    scope = POST.copy()
    anyio.run(Bodies(echoing(), 10, 0.01), scope, anyio.sleep_forever, send)
    assert sent[0]["status"] == 408


def test_who_leaves_while_sending_is_answered_nothing():
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(messages)

    async def send(message):
        raise AssertionError(message)

    anyio.run(Bodies(echoing(), 10, 30), POST.copy(), receive, send)


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, deflate"])
def test_a_compressed_body_is_refused(client, coding):
    reply = client.post("/", content=b"x", headers={"Content-Encoding": coding})
    assert f"is compressed (Content-Encoding: {coding}): send it as it is" in refused(reply, 415)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{not json", "is no JSON: unexpected character, expected a string key (line 1, column 2)."),
        (b'{"a": 1', "is no JSON: unexpected end of data"),
        (b"[" * 5000 + b"]" * 5000, "is nested too deeply"),
        (b'{"a":\n NaN}', "is no JSON: it has no NaN and no Infinity (line 2, column 2)"),
        (b"[1, -Infinity]", "it has no NaN and no Infinity"),
        (b'{"a": 1e999}', "number is infinity"),
        (b'{"a": "\\ud800"}', "half of a character (a lone surrogate) is no text"),
        (b'{"\\ud800": 1}', "half of a character (a lone surrogate) is no text"),
        (b'{"a": "\xff"}', "is no text in UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "is no text in UTF-8"),
    ],
)
def test_what_is_no_json_is_told_why(client, body, reason):
    message = refused(client.post("/", content=body, headers=JSON), 422)
    assert message.startswith("The request body ")
    assert reason in message


@given(st.binary(max_size=40))
def test_any_bytes_are_answered(client, body):
    assert client.post("/", content=body, headers=JSON).status_code in (200, 422)
