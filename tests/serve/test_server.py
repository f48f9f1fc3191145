"""A server that is stopped while it answers: a process of its own, signalled as a terminal does it."""

import os
import re
import signal
import subprocess
import sys
from threading import Thread

import httpx
import psutil
import pytest

# The longest answer of the packaged reader takes minutes.
ASKED = {
    "messages": [{"role": "user", "content": "Tell me all."}],
    "max_tokens": 4000,
    "retrieval": {"passages": 0},
}


@pytest.fixture
def server(store):
    command = [sys.executable, "-m", "pipelines.cli", "serve", str(store), "--port", "0"]
    environment = os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, process_group=0
    ) as process:
        yield process
        process.kill()


def address(server) -> str:
    found = re.search(r"http://\S+:\d+", server.stdout.readline())
    assert found
    while server.poll() is None:
        try:
            if httpx.get(f"{found[0]}/ready", timeout=60).status_code == 200:
                return found[0]
        except httpx.TransportError:
            pass  # It says where it answers a moment before it does.
    raise AssertionError("the server ended")


def ended(server) -> str:
    """Send Ctrl-C, and what the server says then beyond what it said at its start."""
    os.killpg(server.pid, signal.SIGINT)
    _, err = server.communicate(timeout=30)
    assert server.returncode == 0
    # A line of JSON is of the log of requests.
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith(("Loading ", "{")))


def test_a_stream_ends_with_the_reason_and_the_server_with_a_line(server):
    with httpx.stream(
        "POST", f"{address(server)}/v1/chat/completions", json=ASKED | {"stream": True}, timeout=60
    ) as reply:
        lines = reply.iter_lines()
        assert any('"content"' in line for line in lines)
        said = ended(server)
        *_, last = (line for line in lines if line)
    assert '"code":503' in last
    assert re.fullmatch(r"ralm: serve stopped\. To serve again: ralm serve .*\n", said)


def busy(server) -> None:
    """Wait until the server works: it rests otherwise."""
    used = psutil.Process(server.pid).cpu_times
    before = used().user
    while used().user < before + 0.5:
        assert server.poll() is None


def test_requests_are_refused_and_the_server_ends_with_a_line(server):
    url, replies = address(server), []

    def ask() -> None:
        replies.append(httpx.post(f"{url}/v1/chat/completions", json=ASKED, timeout=60))

    # Read one after another: however fast the machine is, the last are not answered yet.
    asking = [Thread(target=ask) for _ in range(12)]
    for one in asking:
        one.start()
    busy(server)
    said = ended(server)
    for one in asking:
        one.join()
    statuses = [one.status_code for one in replies]
    assert len(statuses) == 12
    assert statuses.count(503) + statuses.count(200) == 12
    assert statuses.count(503) > 6
    assert said.count("\n") == 1
