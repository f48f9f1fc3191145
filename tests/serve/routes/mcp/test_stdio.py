"""`ralm mcp` as an assistant starts it, and how it follows its store."""

import os
import sys

import anyio
from mcp import Client, StdioServerParameters

from retriever.local import LocalRetriever
from serve.routes.mcp.stdio import Following
from tests.conftest import delete, flip


def test_an_assistant_starts_it_and_asks(store):
    command = ["-m", "pipelines.cli", "mcp", str(store), "--url", "https://towns.example/"]
    kept = ("PYTHON", "HF", "OMP")
    environment = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    process = StdioServerParameters(command=sys.executable, args=command, env=environment)

    async def ask():
        async with Client(process) as client:
            found = await client.call_tool("search", {"query": "blue glass", "max_results": 1})
            (best,) = found.structured_content["results"]
            return best, (await client.call_tool("fetch", {"id": best["id"]})).structured_content

    best, document = anyio.run(ask)
    assert best["url"].startswith("https://towns.example/documents/file-")
    assert best["text"] in document["text"]


def test_what_is_taken_down_is_found_no_more_even_if_its_generation_cannot_be_opened(own_store):
    following = Following(LocalRetriever.open(own_store))
    assert following().store.passages == 40
    assert following() is following()
    delete(own_store, "Dunmarrow-1")
    path = next((own_store / "deleted").iterdir())
    flip(path, -1)
    assert following().store.passages == 39
    assert following().store.manifest.generation == 1
    flip(path, -1)
    assert following().store.manifest.generation == 2


def test_an_address_is_one_of_the_web(ralm, store):
    code, _, err = ralm("mcp", store, "--url", "towns.example")
    assert (code, "--url towns.example is no address of a service" in err) == (2, True)
