"""What a service says while it loads. How it follows its store, tests of the application show."""

from threading import Event

import pytest
from fastapi.testclient import TestClient

from base.errors import RalmError
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.listening import listen
from serve.server import Server


def test_a_service_that_loads_says_so_and_is_ready_once_it_has(store):
    go = Event()

    def load() -> Answerer:
        assert go.wait(60)
        return Answerer(LocalRetriever.open(store), None)  # type: ignore[arg-type]

    with TestClient(create_app(load)) as client:
        assert client.get("/health").json()["status"] == "loading"
        for path in ("/ready", "/v1/models"):
            reply = client.get(path)
            assert reply.status_code == 503
            assert "are being loaded" in reply.json()["error"]["message"]
        assert client.post("/search", json={"query": "glass"}).status_code == 503
        assert client.post("/mcp", json={}).status_code == 503
        go.set()
        for _ in range(1000):
            if client.get("/ready").status_code == 200:
                break
            Event().wait(0.01)
        assert client.get("/ready").json() == {"status": "ready"}
        assert client.post("/search", json={"query": "glass"}).status_code == 200
        shown = client.get("/metrics").text
        assert 'ralm:batch_size_count{queue="search"} 1.0' in shown
        assert 'ralm:stage_seconds_count{stage="propose"} 1.0' in shown


@pytest.mark.parametrize("error", [RalmError("There is no store."), ZeroDivisionError()])
def test_a_server_ends_if_nothing_can_be_loaded(error):
    def load() -> Answerer:
        raise error

    app = create_app(load)
    with listen("127.0.0.1", 0) as listener:
        Server(app).run(sockets=[listener])
    assert app.state.failure is error
