"""`/mcp` of a real server, asked by the protocol's client; and who may not ask."""

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient
from mcp import Client

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app

CALL = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
HEADERS = {"Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_assistant_searches_a_server_and_its_pages_show_what_was_found(url, mode):
    async def ask():
        async with Client(f"{url}/mcp", mode=mode) as client:
            found = await client.call_tool("search", {"query": "blue glass"})
            best = found.structured_content["results"][0]
            return best, (await client.call_tool("fetch", {"id": best["id"]})).structured_content

    best, document = anyio.run(ask)
    assert best["url"].startswith(f"{url}/documents/file-")
    page, _, anchor = best["url"].partition("#")
    assert f'id="{anchor}"' in httpx.get(page).text
    assert best["text"] in document["text"]


@pytest.fixture(scope="module")
def client(store):
    app = create_app(Answerer(LocalRetriever.open(store), None))  # type: ignore[arg-type]
    with TestClient(app) as found:
        yield found


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8000", 200),
        ("http://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_a_page_of_another_site_may_not_ask(client, origin, status):
    headers = HEADERS if origin is None else HEADERS | {"Origin": origin}
    reply = client.post("/mcp", json=CALL, headers=headers)
    assert reply.status_code == status
    if status == 403:
        assert "may not ask /mcp" in reply.json()["error"]["message"]


def test_what_is_no_message_of_the_protocol_is_refused(client):
    assert (
        client.post("/mcp", content=b"{", headers=HEADERS | {"Content-Type": "application/json"}).status_code
        == 400
    )
    assert client.put("/mcp").status_code == 405


def test_nobody_is_answered_before_the_application_runs(store):
    app = create_app(Answerer(LocalRetriever.open(store), None))  # type: ignore[arg-type]
    reply = TestClient(app).post("/mcp", json=CALL, headers=HEADERS)
    assert (reply.status_code, reply.json()["error"]["type"]) == (503, "server_error")
