import json

import anyio
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from serve.admission.deadlines import Deadlines
from tests.serve.admission.applications import client_of


@pytest.fixture
def client():
    app = FastAPI()

    @app.get("/whole")
    async def whole():
        await anyio.sleep_forever()

    @app.get("/stream/{kind}")
    async def stream(kind: str):
        async def pieces():
            yield "data: 1\n\n"
            await anyio.sleep_forever()

        return StreamingResponse(pieces(), media_type=f"text/{kind}")

    @app.get("/quick")
    async def quick():
        return 1

    app.add_middleware(Deadlines, seconds=0.05)
    return client_of(app)


def test_what_takes_too_long_is_ended_with_a_sentence(client):
    reply = client.get("/whole")
    assert reply.status_code == 504
    assert "This took longer than 0.05 s" in reply.json()["error"]["message"]
    assert client.get("/quick").json() == 1


def test_a_stream_of_events_ends_with_the_error(client):
    first, last = client.get("/stream/event-stream").text.strip().split("\n\n")
    assert first == "data: 1"
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == 504


def test_another_stream_just_ends(client):
    assert client.get("/stream/plain").text == "data: 1\n\n"
