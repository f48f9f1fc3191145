"""`ralm serve --ray` as its users start it: a process of its own, with a Ray of its own."""

import os
import re
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.lm.models import tiny_model

pytestmark = pytest.mark.long


@pytest.fixture
def tiny(tmp_path):
    return tiny_model(tmp_path / "tiny", context=4096)


def command(store, tiny, *options):
    words = [sys.executable, "-m", "pipelines.cli", "serve", str(store), "--ray", "--reader", str(tiny)]
    environment = os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    environment.pop("RAY_ADDRESS", None)
    pipe = subprocess.PIPE
    return subprocess.Popen([*words, *options], stdout=pipe, stderr=pipe, text=True, env=environment)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_leaves_no_process(store, tiny, sent, tmp_path):
    log = tmp_path / "log.jsonl"
    with command(store, tiny, "--port", "0", "--log", str(log)) as server:
        url = re.search(r"http://\S+:\d+", server.stdout.readline())[0]
        assert httpx.get(f"{url}/ready").status_code == 200
        assert httpx.post(f"{url}/search", json={"query": "blue glass"}, timeout=60).json()["results"]
        family = psutil.Process(server.pid).children(recursive=True)
        assert family
        server.send_signal(sent)
        said = server.stderr.read()
        assert server.wait(60) == 0
        assert said.splitlines()[-1].startswith("ralm: serve stopped.")
    psutil.wait_procs(family, timeout=60)
    assert [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert '"path":"/search"' in log.read_text()


def test_what_a_replica_cannot_load_is_said_in_a_sentence(store, tiny):
    (tiny / "tokenizer.json").unlink()
    with command(store, tiny, "--port", "0") as server:
        out, said = server.communicate(timeout=240)
    assert (server.returncode, out) == (2, "")
    last = said.splitlines()[-1]
    assert last.startswith(
        f"ralm: The service could not be started on Ray: The reader {tiny} cannot be loaded"
    )
    assert "Traceback" not in said
