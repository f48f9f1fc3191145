"""`POST /search` as clients of massive-serve ask it."""

import pytest
from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from retriever.opening import open_retriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.conftest import build_store


def asking(retriever):
    return TestClient(create_app(Answerer(retriever, None)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def client(store):
    return asking(LocalRetriever.open(store))


def parsed(reply):
    """What such a client reads of a reply: for each query the id, the text and the score of each passage."""
    assert reply.status_code == 200, reply.text
    found = reply.json()["results"]
    each = zip(found["IDs"], found["passages"], found["scores"], strict=True)
    return [list(zip(*lists, strict=True)) for lists in each]


def test_who_asks_by_n_docs_gets_massive_serves_lists(client):
    body = {"query": "blue glass", "n_docs": 3, "nprobe": 64}
    reply = client.post("/search", json=body)
    (found,) = parsed(reply)
    ours = client.post("/search", json={"query": "blue glass", "k": 3}).json()["results"][0]["hits"]
    assert [(text, score) for _, text, score in found] == [(hit["text"], hit["score"]) for hit in ours]
    assert all(its_id.startswith("file-") for its_id, *_ in found)
    assert {name: reply.json()[name] for name in body} == body
    assert reply.json()["message"] == "Found 3 passages."
    # An id leads to the passage.
    first = found[0]
    file_id, _, chunk = first[0].partition(".")
    assert client.get(f"/documents/{file_id}/passages/{chunk}").json()["text"] == first[1]


def test_a_hit_has_an_id_and_the_url_of_its_page(client):
    (hit,) = client.post("/search", json={"query": "blue glass", "k": 1}).json()["results"][0]["hits"]
    assert hit["url"] == f"http://testserver/documents/{hit['id'].partition('.')[0]}#chunk-0"
    page, _, anchor = hit["url"].partition("#")
    assert f'id="{anchor}"' in client.get(page).text


def test_several_queries_have_a_list_each_and_other_fields_mean_what_they_do(client):
    asked = {
        "query": ["blue glass", "smoked trout"],
        "n_docs": 2,
        "nprobe": None,
        "view": {"where": ["year>1300"]},
    }
    glass, trout = parsed(client.post("/search", json=asked))
    assert "blue glass" in glass[0][1]
    assert all("Corrowick" not in text for _, text, _ in trout)


def test_more_lists_than_there_are_are_all_of_them(tmp_path, corpus):
    build_store(tmp_path / "lists", corpus, index_key="IVF4,SQ8")
    client = asking(LocalRetriever.open(tmp_path / "lists"))
    many, all_of_them, one = (
        parsed(
            client.post("/search", json={"query": "blue glass", "n_docs": 40, "method": "dense", "nprobe": n})
        )
        for n in (64, 4, 1)
    )
    assert many == all_of_them
    assert len(many[0]) == 40 > len(one[0])


def test_a_store_is_chosen_by_its_name(store, long_store):
    client = asking(open_retriever(store, long_store))
    for name in ("towns", "vs_towns"):
        reply = client.post("/search", json={"query": "the mayor", "n_docs": 40, "domains": name})
        (found,) = parsed(reply)
        ids = {one["id"] for one in client.get("/v1/vector_stores/vs_towns/files?limit=100").json()["data"]}
        assert {its_id.partition(".")[0] for its_id, *_ in found} == ids
    reply = client.post("/search", json={"query": "x", "n_docs": 1, "domains": "demo"})
    assert reply.status_code == 400
    assert "There is no store 'demo' here: there are towns, long" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"n_docs": 0}, "n_docs must be at least 1, not 0"),
        ({"n_docs": 1001}, "n_docs must be at most 1000"),
        ({"n_docs": 3, "k": 3}, "k and n_docs are one thing"),
        ({"domains": "towns"}, "domains stand in `view`"),
        ({"n_docs": 3, "use_rerank": True}, "use_rerank is no field of the request"),
    ],
)
def test_what_is_not_meant_is_refused(client, more, reason):
    reply = client.post("/search", json={"query": "x"} | more)
    assert reply.status_code == 422
    assert reason in reply.json()["error"]["message"]
