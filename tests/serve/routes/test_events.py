import json

import anyio
import httpx
import pytest
from fastapi import FastAPI

from base.errors import Busy, RalmError, Unavailable
from datastore.files.refusals import refused
from serve.queues.reading import Reading
from serve.routes.events import Ending, Event, streamed

GONE = FileNotFoundError(2, "No such file or directory", "passages.arrow")


def sent(events, ending=None):
    """The lines that a client gets of a stream of events, and how often it was closed."""
    app, closed = FastAPI(), []

    @app.get("/")
    async def route():
        more = () if ending is None else (ending,)
        return streamed(events, Reading(), lambda: closed.append(True), *more)

    async def get():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            # As httpx, and clients that stand on it, split lines.
            return [line async for line in (await client.get("/")).aiter_lines() if line]

    return anyio.run(get), len(closed)


def test_events_are_lines_of_json_and_the_last_one_says_that_all_is_done():
    lines, closed = sent([Event({"a": 1}), Event({"b": [2]})])
    assert lines == ['data: {"a":1}', 'data: {"b":[2]}', "data: [DONE]"]
    assert closed == 1


def test_a_dialect_names_its_events_and_ends_as_it_is_used_to():
    broken = Ending(done=None, broken=lambda error: Event({"why": str(error)}, "failed"))
    assert sent([Event({"a": 1}, "begun")], broken)[0] == ["event: begun", 'data: {"a":1}']

    def events():
        yield Event({}, "begun")
        raise RalmError("no")

    assert sent(events(), broken)[0][2:] == ["event: failed", 'data: {"why":"no"}']


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r\n", "\n\n"])
def test_what_ends_a_line_within_a_text_breaks_no_event(mark):
    (line, _), _ = sent([Event({"text": f"a{mark}b"})])
    assert json.loads(line.removeprefix("data: ")) == {"text": f"a{mark}b"}


@pytest.mark.parametrize(
    ("error", "kind", "code", "message"),
    [
        (Unavailable("The reader is away."), "server_error", 503, "The reader is away."),
        (RalmError("The server refuses it."), "invalid_request_error", 400, "The server refuses it."),
        (Busy("Too many."), "rate_limit_error", 429, "Too many."),
        (GONE, "server_error", 503, refused(GONE)),
        (KeyError("x"), "server_error", 500, "The server failed (KeyError): its log says at what."),
    ],
)
def test_a_stream_that_breaks_off_says_why_and_is_closed(error, kind, code, message):
    def events():
        yield Event({"choices": []})
        raise error

    (first, last), closed = sent(events())
    assert first == 'data: {"choices":[]}'
    found = json.loads(last.removeprefix("data: "))
    assert found == {"error": {"message": message, "type": kind, "code": code}}
    assert closed == 1
