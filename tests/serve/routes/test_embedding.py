import base64

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app

TEXTS = ["Blue glass is made in Dunmarrow.", "The mayor is chosen by lot.", "Trout is smoked by the river."]


@pytest.fixture(scope="module")
def retriever(store):
    return LocalRetriever.open(store)


@pytest.fixture(scope="module")
def http(retriever):
    return TestClient(create_app(Answerer(retriever, None)))  # type: ignore[arg-type]


@pytest.fixture
def client(http):
    # It closes its connection when it goes: this one is its own.
    own = TestClient(http.app)
    return openai.OpenAI(base_url="http://x/v1", api_key="none", max_retries=0, http_client=own)


def test_openais_client_gets_the_vectors_that_a_store_would_keep(client, retriever):
    """It asks for base64 by itself."""
    reply = client.embeddings.create(model="ralm", input=TEXTS)
    found = np.array([one.embedding for one in reply.data], np.float32)
    encoder = retriever.encoder
    ids = [one.ids for one in encoder.tokenizer.tokenize(TEXTS)]
    assert np.array_equal(found, encoder.encode_passages(ids).astype(np.float32))
    assert reply.usage.prompt_tokens == sum(map(len, ids))
    assert reply.model == encoder.checkpoint.name
    one = client.embeddings.create(model=reply.model, input=TEXTS[0], encoding_format="float")
    assert np.allclose(one.data[0].embedding, found[0], atol=2e-3)  # Made in another batch.


def test_base64_and_numbers_are_the_same(http):
    body = {"input": TEXTS, "dimensions": 384, "user": "ann"}
    numbers = [one["embedding"] for one in http.post("/v1/embeddings", json=body).json()["data"]]
    packed = http.post("/v1/embeddings", json=body | {"encoding_format": "base64"}).json()["data"]
    for one, vector in zip(packed, numbers, strict=True):
        assert np.frombuffer(base64.b64decode(one["embedding"]), "<f4").tolist() == vector


def test_a_query_is_embedded_as_a_search_does_it(http, retriever):
    body = {"input": "blue glass", "input_type": "query"}
    found = http.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]
    assert np.array_equal(np.array(found, np.float32), retriever.encoder.encode_queries(["blue glass"])[0])


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("embeddings", {"input": []}, 422, "give 1 to 2048 texts"),
        ("embeddings", {"input": ["a", " "]}, 422, "none of them empty"),
        ("embeddings", {"input": ["a"] * 2049}, 422, "give 1 to 2048 texts"),
        ("embeddings", {"input": [1, 2]}, 422, "token ids are those of another tokenizer: send text"),
        ("embeddings", {"input": [[1, 2]]}, 422, "check_embedding_ctx_length=False"),
        ("embeddings", {"input": "a", "dimensions": 128}, 400, "have 384 dimensions, and no other number"),
        (
            "embeddings",
            {"input": "a", "model": "ada"},
            404,
            "There is no encoder 'ada' here",
        ),
        ("embeddings", {"input": "a", "input_typ": "query"}, 422, "did you mean input_type?"),
        ("embeddings", {"input": "glass " * 600}, 400, "shorten it, or send truncate_prompt_tokens: -1"),
        ("rerank", {"query": " ", "documents": ["a"]}, 422, "the query must hold text"),
        ("rerank", {"query": "a", "documents": []}, 422, "documents must have at least 1 entry"),
        ("rerank", {"query": "a", "documents": ["a"], "top_n": 0}, 422, "top_n must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_embedded_is_told_why(http, path, body, status, reason):
    reply = http.post(f"/v1/{path}", json=body)
    assert reply.status_code == status
    assert reason in reply.json()["error"]["message"]


def test_what_is_too_long_is_cut_if_asked_for(http):
    texts = ["glass " * 600, "glass " * 700]
    reply = http.post("/v1/embeddings", json={"input": texts, "truncate_prompt_tokens": -1}).json()
    first, second = reply["data"]
    assert first["embedding"] == second["embedding"]
    assert reply["usage"]["total_tokens"] < 2 * 512


def test_documents_are_ranked_by_their_vectors(http, retriever):
    documents = [TEXTS[1], {"text": TEXTS[0]}, TEXTS[2], TEXTS[1]]
    body = {"query": "Who makes blue glass?", "documents": documents}
    results = http.post("/v1/rerank", json=body).json()["results"]
    assert results[0]["index"] == 1
    assert results[0]["document"] == {"text": TEXTS[0]}
    scores = [one["relevance_score"] for one in results]
    assert scores == sorted(scores, reverse=True)
    places = [one["index"] for one in results]
    assert sorted(places) == [0, 1, 2, 3]
    assert places.index(0) < places.index(3)  # Of equals the first stays first.
    (query,) = retriever.encoder.encode_queries([body["query"]])
    vectors = retriever.encoder.encode_passages(
        [one.ids for one in retriever.encoder.tokenizer.tokenize(TEXTS[:1])]
    )
    assert abs(scores[0] - float(vectors[0].astype(np.float32) @ query)) < 2e-3
    best = http.post("/v1/rerank", json=body | {"top_n": 1, "return_documents": False}).json()["results"]
    assert [(one["index"], one["document"]) for one in best] == [(1, None)]
