"""Minutes at 80% of what the service can do: it stays well, and does not grow."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import uvicorn

from lm.batching import together
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.queues.searching import SearchQueue
from serve.queues.together import Together
from tests.lm.models import tiny_model, tiny_reader

LOAD = Path(__file__).parents[2] / "benchmarks" / "service" / "load.py"
# As long as the soak takes; a shorter one shows the same but less surely.
SECONDS = float(os.environ.get("RALM_SOAK_SECONDS", "600"))
CLIENTS = 32
SEARCHES = [{"query": f"what do the people of town {number} make", "k": 5} for number in range(20_000)]
CHATS = [
    {"messages": [{"role": "user", "content": f"Who built bridge {number}?"}], "max_tokens": 24}
    | {"retrieval": {"passages": 1, "budget": 100}, "stream": number % 2 == 0}
    for number in range(100)
]


class Server(uvicorn.Server):
    """Serves in a thread of this process, and measures how late its event loop is."""

    def __init__(self, app) -> None:
        super().__init__(uvicorn.Config(app, port=0, loop="asyncio", log_level="error"))
        self.late: list[float] = []

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        self._measuring = asyncio.create_task(self._measure())

    async def _measure(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            self.late.append(time.perf_counter() - began - 0.01)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture
def server(store, tmp_path):
    reader = together(tiny_reader(tiny_model(tmp_path / "tiny", context=1024)))
    answerer = Answerer(LocalRetriever.open(store), reader)
    app = create_app(answerer)
    # What is kept is full within seconds: it is no growth.
    app.state.searches = SearchQueue(Together(1 << 20, 1 << 20))
    answerer.find = app.state.searches.find
    found = Server(app)
    thread = threading.Thread(target=found.run)
    thread.start()
    while not found.started:
        assert thread.is_alive()
    yield found
    found.should_exit = True
    thread.join()
    reader.stop()


def begun(url: str, route: str, bodies: list[dict], *options: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(LOAD), url, route, *map(str, options)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write("\n".join(map(json.dumps, bodies)))
    process.stdin.close()
    return process


def ended(process: subprocess.Popen[str]) -> dict:
    with process:
        assert process.stdout is not None
        return json.loads(process.stdout.read())


@pytest.mark.long
def test_at_80_per_cent_of_its_capacity_it_stays_well_and_does_not_grow(server, one_thread):
    loaded = ended(begun(server.url, "/search", SEARCHES, "--clients", CLIENTS, "--seconds", 5))
    capacity = loaded["requests"] / loaded["seconds"]
    server.late.clear()
    held, mine, started = [], psutil.Process(), time.perf_counter()
    searching = begun(
        server.url, "/search", SEARCHES, "--clients", CLIENTS, "--seconds", SECONDS, "--rate", 0.8 * capacity
    )
    chatting = begun(
        server.url, "/v1/chat/completions", CHATS, "--clients", 1, "--seconds", SECONDS, "--rate", 1
    )
    while searching.poll() is None and len(held) < 10 * SECONDS:
        held.append((time.perf_counter() - started, mine.memory_info().rss / 2**20))
        threading.Event().wait(0.5)
    searched, chatted = ended(searching), ended(chatting)
    seconds, megabytes = np.array(held)[len(held) // 5 :].T
    slope = 60 * np.polyfit(seconds, megabytes, 1)[0]
    late = np.percentile(server.late, 99)
    print(
        f"capacity {capacity:.0f}/s, searched {searched['requests']}, chatted {chatted['requests']}, "
        f"{slope:+.2f} MB a minute of {megabytes.mean():.0f}, loop late by {1000 * late:.1f} ms (p99)"
    )
    assert searched["errors"] == chatted["errors"] == 0
    assert searched["requests"] > 0.75 * capacity * SECONDS
    assert chatted["requests"] > 0
    assert abs(slope) < 1
    assert late < 0.05
