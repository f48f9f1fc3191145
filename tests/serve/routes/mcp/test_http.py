"""`/mcp` of a real server, asked by the protocol's client; and who may not ask."""

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient
from mcp import Client

from retriever.local import LocalRetriever
from serve.admission.keys import Key
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.settings import ServiceSettings

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


def test_a_page_that_is_let_in_may_ask_and_a_key_is_asked_for_here_too(store):
    settings = ServiceSettings(keys=(Key.of("secret", "ann"),), origins=("https://page.example",))
    app = create_app(Answerer(LocalRetriever.open(store), None), settings=settings)  # type: ignore[arg-type]
    headers = HEADERS | {"Origin": "https://page.example", "Authorization": "Bearer secret"}
    other = headers | {"Origin": "https://x.example"}
    with TestClient(app) as client:
        assert client.post("/mcp", json=CALL, headers=headers).status_code == 200
        assert client.post("/mcp", json=CALL, headers=other).status_code == 403
        for path in ("/mcp", "/documents/file-x", "/v1/vector_stores", "/v1/files/file-x/content"):
            assert client.get(path).status_code == 401


def test_what_is_no_message_of_the_protocol_is_refused(client):
    as_json = HEADERS | {"Content-Type": "application/json"}
    assert client.post("/mcp", content=b"{", headers=as_json).status_code == 422
    assert client.post("/mcp", json={}, headers=as_json).status_code == 400
    assert client.put("/mcp").status_code == 405


def test_nobody_is_answered_before_the_application_runs(store):
    app = create_app(Answerer(LocalRetriever.open(store), None))  # type: ignore[arg-type]
    reply = TestClient(app).post("/mcp", json=CALL, headers=HEADERS)
    assert (reply.status_code, reply.json()["error"]["type"]) == (503, "server_error")
