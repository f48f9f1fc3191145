import socket

from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from tests.lm.models import tiny_model, tiny_reader


def test_an_unknown_executor_is_one_sentence(refusal):
    assert "valid are auto, ray and local" in refusal("demo", "-o", "{tmp}/s", "--executor", "spark")


def test_a_port_in_use_is_told_before_the_build(refusal):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "choose --port" in refusal("demo", "-o", "{tmp}/s", "--serve", "--port", port)


def test_the_demo_ends_at_a_page_of_what_it_has_built(store, tmp_path, monkeypatch, ralm):
    asked = Answerer(LocalRetriever.open(store), tiny_reader(tiny_model(tmp_path / "tiny")))
    served = []
    monkeypatch.setattr("pipelines.demo.run", lambda *_: asked)
    monkeypatch.setattr(
        "serve.server.Server.run", lambda self, sockets: served.append((self, sockets[0].getsockname()))
    )
    monkeypatch.setattr("pipelines.commands.demo.end", lambda code: None)
    code, out, _ = ralm("demo", "-o", tmp_path / "s", "--serve", "--port", "0")
    ((server, (host, port)),) = served
    assert code == 0
    assert f"http://{host}:{port}" in out
    client = TestClient(server.config.app)
    assert client.get("/card").json()["stores"][0]["name"] == "towns"
    assert "Ask the datastore" in client.get("/").text
