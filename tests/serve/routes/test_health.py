from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.serve.saying import Saying


def test_health_names_what_is_served_and_why_a_newer_generation_is_not(store):
    retriever = LocalRetriever.open(store)
    app = create_app(Answerer(retriever, Saying()))
    client = TestClient(app)
    well = client.get("/health").json()
    assert (well["status"], well["missing"], well["behind"]) == ("ok", [], None)
    assert well["store"] == well["stores"][0]
    assert well["store"]["manifest"] == retriever.hash
    assert well["reader"] == {"name": "saying", "quantization": "none", "adapter": None, "bytes": 0}
    app.state.behind = "It is damaged."
    assert client.get("/health").json()["status"] == "degraded"
