import pytest
from fastapi.testclient import TestClient

from base.errors import RalmError
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.answering.inquiry import Inquiry
from serve.answering.limits import Limits
from serve.app import create_app
from serve.settings import ServiceSettings


def test_what_is_within_the_limits_may_be_asked():
    for limits in (Limits(), Limits(5, 3, 96)):
        limits.require_search(3, 5)
        limits.require_tokens(96)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"query": ["a", "b"]}, "at most 1 queries, not 2"),
        ({"query": "a", "k": 4}, "at most 3 passages for a query, not 4"),
    ],
)
def test_a_service_refuses_more(store, body, sentence):
    answerer = Answerer(LocalRetriever.open(store), None)  # type: ignore[arg-type]
    client = TestClient(create_app(answerer, settings=ServiceSettings(limits=Limits(3, 1, 8))))
    assert client.post("/search", json={"query": "glass", "k": 3}).status_code == 200
    reply = client.post("/search", json=body)
    assert reply.status_code == 400
    assert sentence in reply.json()["error"]["message"]
    with pytest.raises(RalmError, match="at most 8 tokens of an answer, not 96"):
        answerer.prepare(Inquiry("Why?"))
