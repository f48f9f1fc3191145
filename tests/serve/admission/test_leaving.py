"""Clients that leave before they have their reply."""

import asyncio
import json
from threading import Event

import pytest

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.batching import BatchingReader
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.lm.models import tiny_model


class Held(TransformersReader):
    """Reads nothing until it is let go, and keeps what it was to read."""

    def __init__(self, folder):
        super().__init__(ReaderChoice(str(folder), "none"))
        self.begun, self.go, self.asked = Event(), Event(), []

    def read(self, drafts, more=lambda reading: []):
        self.asked += [draft.pending for draft in drafts]
        self.begun.set()
        assert self.go.wait(60)
        super().read(drafts, more)


@pytest.fixture
def held(tmp_path):
    return Held(tiny_model(tmp_path / "tiny", context=400))


def scope(path: str) -> dict:
    headers = [(b"content-type", b"application/json"), (b"host", b"here")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }


async def left(app, path: str, body: dict, waits: Event) -> list[dict]:
    """Ask, leave once `waits` is set, and what was sent until then."""
    sent: list[dict] = []
    messages = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]

    async def receive() -> dict:
        if messages:
            return messages.pop()
        await asyncio.to_thread(waits.wait, 60)
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope(path), receive, send), 60)
    return sent


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Who?"}], "max_tokens": 300}),
        ("/v1/completions", {"prompt": "Who?", "max_tokens": 300}),
    ],
)
def test_the_reader_stops_for_a_client_that_has_left(store, held, path, body):
    body |= {"retrieval": {"passages": 0}} if "chat" in path else {}
    app = create_app(Answerer(LocalRetriever.open(store), BatchingReader(held)))
    assert asyncio.run(left(app, path, body, held.begun)) == []
    (pending,) = held.asked
    assert not pending.wanted
    held.go.set()
    app.state.answerer.reader.stop()


def test_a_search_of_a_client_that_has_left_is_not_searched(store, held, monkeypatch):
    app = create_app(Answerer(LocalRetriever.open(store), held))
    queue, waits, go, searched = app.state.searches, Event(), Event(), []
    encode = queue.together.encode

    def gated(jobs):
        searched.extend(query.text for job in jobs for query in job.queries)
        waits.set()
        assert go.wait(60)
        encode(jobs)

    monkeypatch.setattr(queue.together, "encode", gated)

    async def ask() -> None:
        staying = asyncio.create_task(left(app, "/search", {"query": "blue glass"}, go))
        await asyncio.to_thread(waits.wait, 60)
        assert await left(app, "/search", {"query": "smoked trout"}, waits) == []
        go.set()
        await staying

    asyncio.run(ask())
    assert searched == ["blue glass"]
