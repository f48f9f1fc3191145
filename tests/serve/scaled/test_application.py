"""The service on Ray Serve answers as the one in a single process does: the same store and reader."""

import json
import re
import socket

import httpx
import pytest

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.lm.models import tiny_model
from tests.serve.scaled.services import KEY, events, post, scaled, wait_until

QUESTION = {"role": "user", "content": "Who makes blue glass?"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("scaled") / "tiny", context=4096)


@pytest.fixture(scope="module")
def url(ray_cluster, store, tiny):
    with scaled(tiny, store) as found:
        yield found


@pytest.fixture(scope="module")
def alone(store, tiny):
    """The same in this process."""
    from fastapi.testclient import TestClient

    from lm.backends.reader_choice import ReaderChoice
    from lm.backends.transformers_reader import TransformersReader
    from lm.batching import together

    reader = together(TransformersReader(ReaderChoice(str(tiny), "none")))
    with TestClient(create_app(Answerer(LocalRetriever.open(store), reader))) as client:
        yield client


def same(reply, url):
    """A reply without what is another one's by nature: times, ids and the address."""
    found = json.loads(reply.text.replace(url, "http://testserver"))
    for name in ("id", "created", "seconds"):
        found.pop(name, None)
    return found


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/search", {"query": ["blue glass", "smoked trout"], "k": 4}),
        ("/search", {"query": "blue glass", "k": 3, "method": "dense", "view": {"where": ["year<1500"]}}),
        ("/v1/chat/completions", {"messages": [QUESTION], "max_tokens": 12, "logprobs": True}),
        ("/v1/completions", {"prompt": "The old bridge", "max_tokens": 1, "echo": True, "logprobs": 1}),
        ("/v1/embeddings", {"input": ["blue glass", "the old bridge"], "input_type": "query"}),
        ("/v1/rerank", {"query": "blue glass", "documents": ["trout", "Glass is blue."]}),
        ("/tokenize", {"prompt": "The old bridge"}),
    ],
)  # fmt: skip
def test_it_replies_as_one_process_does(url, alone, path, body):
    theirs, mine = post(url, path, body), alone.post(path, json=body)
    assert mine.status_code == 200
    assert theirs.status_code == 200
    assert same(theirs, url) == same(mine, url)


def test_a_stream_comes_in_pieces_and_says_the_same(url):
    body = {"model": "ralm", "messages": [QUESTION], "max_tokens": 12}
    whole = post(url, "/v1/chat/completions", body).json()["choices"][0]["message"]["content"]
    text = post(url, "/v1/chat/completions", body | {"stream": True}).text
    pieces = [choice["delta"].get("content") or "" for one in events(text) for choice in one["choices"]]
    assert len([one for one in pieces if one]) > 1
    assert "".join(pieces) == whole


def test_what_cannot_be_answered_is_refused_in_the_same_words(url, alone):
    long = {"model": "ralm", "messages": [{"role": "user", "content": "why " * 9000}], "max_tokens": 5}
    for body in (long, long | {"stream": True}, long | {"retrieval": {"off": True}, "stream": True}):
        theirs, mine = post(url, "/v1/chat/completions", body), alone.post("/v1/chat/completions", json=body)
        assert theirs.status_code == mine.status_code == 400
        assert theirs.json()["error"]["message"] == mine.json()["error"]["message"]


def test_keys_ids_and_metrics_are_those_of_one_process(url):
    assert httpx.post(f"{url}/search", json={"query": "glass"}).status_code == 401
    found = httpx.get(f"{url}/v1/models", headers=KEY | {"x-request-id": "mine-1"})
    assert found.headers.get_list("x-request-id") == ["mine-1"]
    assert len(httpx.get(f"{url}/health").headers.get_list("x-request-id")) == 1
    post(url, "/v1/chat/completions", {"model": "ralm", "messages": [QUESTION], "max_tokens": 3})
    told = httpx.get(f"{url}/metrics", headers=KEY).text
    assert 'status="401"' in told
    assert float(re.search(r"^ralm:generation_tokens_total (.*)$", told, re.M)[1]) >= 3


def test_a_client_that_leaves_stops_the_reader(url):
    """Whether its text comes as a stream or whole: it would take seconds more."""
    from ray import serve

    reader = serve.get_deployment_handle("reader", "ralm")

    def writing():
        return reader.writing.remote().result()

    body = {"model": "ralm", "prompt": "The river", "max_tokens": 1000}
    assert writing() == 0
    with httpx.stream("POST", f"{url}/v1/completions", json=body | {"stream": True}, headers=KEY) as reply:
        assert reply.status_code == 200
        lines = reply.iter_lines()
        next(lines)
        assert writing() == 1
    wait_until(lambda: writing() == 0)
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as plain:
        sent = json.dumps(body).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY['Authorization']}\r\n"
        kind = f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        plain.sendall((head + kind).encode() + sent)
        wait_until(lambda: writing() == 1)
    wait_until(lambda: writing() == 0)
