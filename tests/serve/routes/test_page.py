"""The page's routes: what is given without a key, and under which headers."""

import pytest
from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from serve.admission.keys import Key
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.settings import ServiceSettings
from tests.lm.models import tiny_model, tiny_reader


@pytest.fixture(scope="module")
def client(store, tmp_path_factory):
    """Of a service that wants a key."""
    reader = tiny_reader(tiny_model(tmp_path_factory.mktemp("tiny")))
    answerer = Answerer(LocalRetriever.open(store), reader)
    return TestClient(create_app(answerer, settings=ServiceSettings(keys=(Key.of("sesame", "ali"),))))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/page/style.css", "text/css"),
        ("/page/script.js", "text/javascript"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_the_page_is_given_without_a_key_and_lets_nothing_in(client, path, kind):
    reply = client.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith(kind)
    policy = dict(one.split(" ", 1) for one in reply.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[f"{one}-src"] for one in ("script", "style", "img", "connect")} == {"'self'"}
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["none.js", "__init__.py", "..%2Fapp.py", "index.html"])
def test_only_its_own_files_are_given(client, name):
    reply = client.get(f"/page/{name}")
    assert reply.status_code == 404
    assert "message" in reply.json()["error"]


def test_the_card_wants_a_key_and_tells_of_store_and_reader(client):
    assert client.get("/card").status_code == 401
    reply = client.get("/card", headers={"Authorization": "Bearer sesame"}).json()
    (card,) = reply["stores"]
    assert (card["id"], card["name"], card["passages"]) == ("vs_towns", "towns", 40)
    assert reply["reader"]["quantization"] == "none"
