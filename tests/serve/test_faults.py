"""What is lost while the service runs: it stays up, says what it lacks, and does the rest."""

import logging
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from base.errors import Unavailable
from lm.batching import together
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.settings import ServiceSettings
from tests.lm.models import tiny_model, tiny_reader

ASKED = {"query": "Who makes blue glass?", "k": 40, "method": "dense"}
CHAT = {
    "messages": [{"role": "user", "content": "Who makes blue glass?"}],
    "max_tokens": 2,
    "retrieval": {"passages": 0},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("models") / "tiny", context=512))


@pytest.fixture
def reader(tiny):
    found = together(tiny)
    yield found
    # The model itself goes on: others read with it.
    found._stopped = True
    found._wake()


def served(store, reader, **settings):
    app = create_app(Answerer(LocalRetriever.open(store), reader), settings=ServiceSettings(**settings))
    return TestClient(app, raise_server_exceptions=False)


def why(reply, status=503):
    assert reply.status_code == status, reply.text
    return reply.json()["error"]["message"]


@pytest.mark.parametrize("folder", ["passages", "vectors", "index"])
def test_files_that_are_deleted_are_served_until_they_are_closed(own_store, reader, folder):
    client = served(own_store, reader)
    before = client.post("/search", json=ASKED).json()["results"]
    for path in [path for path in (own_store / folder).rglob("*") if path.is_file()]:
        path.unlink()
    found = client.post("/search", json=ASKED | {"recall": None, "diversity": 0.0}).json()["results"]
    assert found == before
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_a_damaged_passage_is_no_hit(own_store, reader):
    client = served(own_store, reader)
    for path in (own_store / "passages").iterdir():
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)
    assert "is damaged on the disk: `ralm verify` names the file" in why(client.post("/search", json=ASKED))
    assert client.get("/health").status_code == 200
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_a_reader_whose_memory_does_not_suffice_says_so_and_reads_on(store, reader, tiny, monkeypatch):
    client = served(store, reader)
    with monkeypatch.context() as patch:
        patch.setattr(tiny._model, "forward", lambda *_, **__: torch.empty(1 << 55))
        assert "memory does not suffice" in why(client.post("/v1/chat/completions", json=CHAT))
        with client.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as reply:
            assert '"code":503' in reply.read().decode()
        assert client.post("/search", json=ASKED).status_code == 200
    assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


class Away:
    """A reader whose server does not answer."""

    name, quantization, adapter, measured_bytes, context_tokens = "away", "none", None, None, 4096

    def count_tokens(self, text):
        raise Unavailable("The server of away does not answer: start it.")

    prompt_tokens = generate = stream = count_tokens


def test_where_the_readers_server_is_away_searches_are_answered(store):
    client = served(store, Away())
    for body in (CHAT, CHAT | {"stream": True}):
        assert "does not answer" in why(client.post("/v1/chat/completions", json=body))
    assert client.post("/search", json=ASKED).status_code == 200


def test_a_full_disk_under_the_log_stops_nothing(store, reader):
    client = served(store, reader, log=Path("/dev/full"))
    assert client.post("/search", json=ASKED).status_code == 200
    assert "ralm:log_lines_lost_total 1.0" in client.get("/metrics").text


def test_a_file_that_the_system_refuses_is_named(store, reader, monkeypatch, caplog):
    client = served(store, reader)
    client.app.state.searches.together.job = lambda *_: open(store / "gone" / "file")  # noqa: SIM115
    with caplog.at_level(logging.ERROR):
        assert "cannot be used (No such file or directory)" in why(client.post("/search", json=ASKED))
