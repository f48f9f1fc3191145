"""The server as its users meet it: a process of its own, asked by curl and by OpenAI's client."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import httpx
import openai
import pytest
from fastapi.testclient import TestClient

from base.errors import RalmError, Unavailable
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.conftest import add_to, compact, delete, flip
from tests.corpus import write_lines
from tests.lm.models import tiny_model
from tests.serve.processes import serving

QUESTION = {"role": "user", "content": "How is the mayor of Bralgate chosen?"}


def curl(url: str, body: object, *options: str) -> str:
    data = body if isinstance(body, str) else json.dumps(body)
    command = ["curl", "-sS", *options, "-H", "Content-Type: application/json", "-d", data, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_curl_gets_passages(url):
    reply = json.loads(curl(f"{url}/search", {"query": ["blue glass", "smoked trout"], "k": 2}))
    first, second = reply["results"]
    assert first["hits"][0]["doc_id"].startswith("Dunmarrow")
    assert second["hits"][0]["doc_id"].startswith("Corrowick")
    assert len(first["hits"]) == 2
    assert not first["exhausted"]


def test_a_search_takes_a_view_and_says_what_it_did(url):
    view = {"domains": ["history"], "where": ["year<1300"]}
    reply = json.loads(curl(f"{url}/search", {"query": "blue glass", "k": 20, "view": view, "depth": 5}))
    (result,) = reply["results"]
    assert {hit["doc_id"].split("-")[0] for hit in result["hits"]} == {"Corrowick", "Hollinport"}
    assert {hit["domain"] for hit in result["hits"]} == {"history"}
    assert result["exhausted"]
    assert reply["setting"] == {"nprobe": 0, "depth": 5, "recall": 1.0}
    assert list(reply["seconds"]) == ["queue", "encode", "propose", "rescore", "words", "fuse", "passages"]
    dense = json.loads(curl(f"{url}/search", {"query": "blue glass", "k": 1, "method": "dense"}))
    assert list(dense["seconds"]) == ["queue", "encode", "propose", "rescore", "passages"]


def test_hits_that_repeat_a_better_one_can_be_left_out(url):
    body = {"query": "the mayor is chosen by lot", "k": 8, "method": "dense"}
    plain = json.loads(curl(f"{url}/search", body))["results"][0]["hits"]
    alike = json.loads(curl(f"{url}/search", body | {"near_duplicates": 0.05}))["results"][0]["hits"]
    assert sum("is chosen every" in hit["text"] for hit in plain) > 1
    assert sum("is chosen every" in hit["text"] for hit in alike) == 1


def test_hits_that_hold_the_question_can_be_left_out(url):
    body = {"query": "the mayor is chosen by lot", "k": 3, "method": "dense"}
    first = json.loads(curl(f"{url}/search", body))["results"][0]["hits"][0]["text"]
    asked = {"query": [first], "decontaminate": {}, "answers": [["no answer of eight words or more"]]}
    (result,) = json.loads(curl(f"{url}/search", body | asked))["results"]
    assert len(result["hits"]) == 3
    assert first not in {hit["text"] for hit in result["hits"]}


def test_curl_gets_an_answer_with_citations(url):
    reply = json.loads(curl(f"{url}/v1/chat/completions", {"model": "ralm", "messages": [QUESTION]}))
    assert "8 years" in reply["choices"][0]["message"]["content"]
    assert any(c["cited"] and c["doc_id"] == "Bralgate-4" for c in reply["citations"])
    assert reply["reader"]["bytes"] > 1e8
    assert reply["usage"]["total_tokens"] > reply["usage"]["completion_tokens"] > 0
    assert reply["missing"] == []


def test_curl_gets_an_answer_in_pieces(url):
    body = {"messages": [QUESTION], "stream": True, "max_tokens": 40}
    reply = curl(f"{url}/v1/chat/completions", body, "-N")
    # A comment keeps a connection open through which nothing has come for long.
    lines = [line for line in reply.splitlines() if line and not line.startswith(": ping")]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    *pieces, last = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(piece["choices"][0]["delta"].get("content", "") for piece in pieces)
    assert "8 years" in text
    assert last["choices"][0]["finish_reason"] == "stop"
    assert any(c["cited"] for c in last["citations"])
    assert last["missing"] == []


def test_openais_client_gets_an_answer(client):
    reply = client.chat.completions.create(model="ralm", messages=[QUESTION], max_tokens=40)
    assert "8 years" in reply.choices[0].message.content
    assert reply.model_extra["citations"]
    assert reply.choices[0].finish_reason == "stop"


def test_a_chat_says_how_its_passages_are_put_to_the_reader(client):
    retrieval = {"passages": 4, "budget": 60, "conditioning": "replug", "replug_temperature": 0.5}
    asked = {"model": "ralm", "messages": [QUESTION], "max_tokens": 2}
    whole = client.chat.completions.create(**asked, extra_body={"retrieval": retrieval}).model_extra
    assert (len(whole["citations"]), whole["trimmed"]) == (4, 0)
    assert [one["read"] for one in whole["citations"]] == [None] * 4
    together = client.chat.completions.create(
        **asked, extra_body={"retrieval": retrieval | {"conditioning": "prepend"}}, stream=True
    )
    last = list(together)[-1].model_extra
    assert last["trimmed"] > 0
    assert len(last["citations"]) < 4


def test_a_chat_measures_support_if_it_is_asked_to_in_a_stream_too(client):
    asked = {"model": "ralm", "messages": [QUESTION], "max_tokens": 24}
    asked["extra_body"] = {"retrieval": {"support": True}}
    whole = client.chat.completions.create(**asked).model_extra
    last = list(client.chat.completions.create(**asked, stream=True))[-1].model_extra
    for found in (whole, last):
        best = max(found["citations"], key=lambda one: one["support"][0]["gain"])
        assert (best["doc_id"], best["cited"]) == ("Bralgate-4", True)
    assert whole["seconds"]["support"] > 0


def test_openais_client_gets_an_answer_in_pieces(client):
    pieces = list(
        client.chat.completions.create(model="ralm", messages=[QUESTION], max_tokens=4, stream=True)
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text
    assert pieces[-1].choices[0].finish_reason == "length"


def test_openais_client_lists_the_models(client):
    names = [model.id for model in client.models.list()]
    assert "ralm" in names
    assert (
        client.chat.completions.create(
            model=names[1], messages=[QUESTION], max_tokens=1, extra_body={"retrieval": {"passages": 0}}
        ).model_extra["citations"]
        == []
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/search", {"k": 3}, 422, "query is missing: give it"),
        ("/search", {"query": "x", "k": 0}, 422, "k must be at least 1, not 0"),
        ("/search", {"query": "x", "kk": 3}, 422, "kk is no field of the request: did you mean k?"),
        ("/search", {"query": "x", "recall": 0.9, "nprobe": 3}, 400, "give either recall, or those two"),
        ("/search", None, 422, "The request body"),
        ("/search", {"query": "x", "nprobe": 3}, 400, "has no lists to probe"),
        ("/search", {"query": "x", "view": {"where": ["age"]}}, 400, "such as year>=2010"),
        ("/search", {"query": "x", "view": {"domains": ["none"]}}, 400, "has the domain 'none'"),
        ("/search", {"query": "x", "view": {"fraction": 2}}, 422, "view.fraction must be at most 1, not 2"),
        ("/search", "{not json", 422, "The request body is no JSON: "),
        ("/search", "[]", 422, "The request body must be a mapping"),
        ("/v1/chat/completions", {"messages": []}, 422, "messages must have at least 1 entry"),
        ("/v1/chat/completions", {"messages": [QUESTION], "model": "gpt-9"}, 404, "no model 'gpt-9'"),
        ("/v1/chat/completions", {"messages": [QUESTION], "max_tokens": 100_000}, 400, "shorten the prompt"),
        (
            "/v1/chat/completions",
            {"messages": [QUESTION], "retrieval": {"conditioning": "replugg"}},
            422,
            "retrieval.conditioning must be",
        ),
        (
            "/v1/chat/completions",
            {"messages": [QUESTION], "retrieval": {"neighbors": 1}},
            422,
            "retrieval.neighbors is no field of the request: did you mean neighbours?",
        ),
        (
            "/v1/chat/completions",
            {"messages": [QUESTION], "max_tokens": 100_000, "stream": True},
            400,
            "shorten the prompt",
        ),
        ("/search", {"query": "\ud800"}, 422, "half of a character (a lone surrogate) is no text"),
        ("/search", {"query": "x", "\ud800": 1}, 422, "half of a character (a lone surrogate) is no text"),
        (
            "/search",
            {"query": "x", "zz": 3},
            422,
            "zz is no field of the request: valid are recall, nprobe, depth, ",
        ),
        ("/search", {"query": "x", "view": {"sed": 3}}, 422, "view.sed is no field of the request: did you"),
        ("/nowhere", {}, 404, "There is no route '/nowhere': /docs lists the routes."),
    ],
)
def test_a_malformed_request_gets_a_reason(url, path, body, status, reason):
    content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    reply = httpx.post(f"{url}{path}", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert reason in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (Unavailable("The searchers do not answer."), 503, "The searchers do not answer."),
        (ZeroDivisionError("a defect"), 500, "The server failed (ZeroDivisionError): its log says at what."),
    ],
)
def test_what_the_client_did_not_do_wrong_is_the_servers_error(error, status, message):
    def fail(*_):
        raise error

    app = create_app(SimpleNamespace(reader=None, retriever=SimpleNamespace(settled=fail)))
    reply = TestClient(app, raise_server_exceptions=False).post("/search", json={"query": "x"})
    assert reply.status_code == status
    found = reply.json()["error"]
    assert found.pop("request_id") == reply.headers["x-request-id"]
    assert found == {"message": message, "type": "server_error", "code": status}


def test_openais_client_sees_the_reason(client):
    with pytest.raises(openai.NotFoundError, match="ask for ralm"):
        client.chat.completions.create(model="gpt-9", messages=[QUESTION])


def test_health_and_docs_answer(url):
    health = httpx.get(f"{url}/health").json()
    assert health["status"] == "ok"
    assert health["store"]["passages"] > 0
    assert "swagger" in httpx.get(f"{url}/docs").text.lower()
    assert "/search" in httpx.get(f"{url}/openapi.json").json()["paths"]


class Behind:
    """An answerer whose store has a generation that cannot be opened, until it is mended."""

    reader = SimpleNamespace(name="none", quantization="none", adapter=None, measured_bytes=0)

    def __init__(self, store):
        self.retriever, self.mended, self.looked = LocalRetriever.open(store), Event(), Event()

    def refresh(self):
        try:
            if not self.mended.is_set():
                raise RalmError("a file of generation 2 is missing")
        finally:
            self.looked.set()


def test_health_tells_of_a_generation_that_cannot_be_opened(store):
    answerer = Behind(store)
    with TestClient(create_app(answerer, refresh=0.001)) as client:

        def shown(status):
            for _ in range(1000):
                health = client.get("/health").json()
                if health["status"] == status:
                    return health["behind"]
                answerer.looked.wait(0.01)
                answerer.looked.clear()
            raise AssertionError(health)

        assert shown("degraded") == "a file of generation 2 is missing"
        answerer.mended.set()
        assert shown("ok") is None


def test_a_takedown_is_hidden_though_its_generation_cannot_be_opened(own_store):
    """In search and in what a reader is given; and once it can be opened, it is."""
    answerer = Answerer(LocalRetriever.open(own_store), Behind.reader)
    asked = {"query": QUESTION["content"], "k": 3}
    with TestClient(create_app(answerer, refresh=0.001)) as client:

        def first():
            return client.post("/search", json=asked).json()["results"][0]["hits"][0]["doc_id"]

        def becomes(wanted):
            for _ in range(2000):
                health = client.get("/health").json()
                if wanted(health):
                    return health
                Event().wait(0.01)
            raise AssertionError(health)

        gone = first()
        delete(own_store, gone)
        path = next((own_store / "deleted").iterdir())
        flip(path, -1)
        health = becomes(lambda health: health["behind"] and first() != gone)
        assert "is corrupted" in health["behind"]
        assert (health["status"], health["store"]["generation"]) == ("degraded", 1)
        flip(path, -1)
        assert becomes(lambda health: not health["behind"])["store"]["generation"] == 2
        assert first() != gone


def test_many_at_once_all_get_their_own_answer(url):
    def ask(town: str) -> str:
        reply = httpx.post(f"{url}/search", json={"query": f"the mayor of {town}", "k": 1}, timeout=60)
        found: str = reply.json()["results"][0]["hits"][0]["doc_id"]
        return found

    towns = ["Arvenholm", "Bralgate", "Corrowick", "Dunmarrow"] * 8
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, towns))
    assert [doc_id.split("-")[0] for doc_id in found] == towns


def test_a_client_that_leaves_does_not_hold_up_the_next(url):
    body = {
        "messages": [{"role": "user", "content": "Tell me a very long story."}],
        "stream": True,
        "max_tokens": 4000,
    }
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as reply:
        next(reply.iter_lines())
    reply = httpx.post(
        f"{url}/v1/chat/completions", json={"messages": [QUESTION], "max_tokens": 2}, timeout=60
    )
    assert reply.status_code == 200


def test_chats_that_are_asked_at_once_each_get_the_answer_that_they_get_alone(url):
    """Whole and streamed ones."""

    def ask(town: str, stream: bool) -> str:
        body = {
            "messages": [{"role": "user", "content": f"Where is {town}?"}],
            "max_tokens": 6,
            "retrieval": {"passages": 0},
            "stream": stream,
        }
        reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120)
        assert reply.status_code == 200
        if not stream:
            return reply.json()["choices"][0]["message"]["content"]
        events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
        pieces = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
        return "".join(pieces).strip()

    towns = ["Arvenholm", "Bralgate", "Corrowick", "Dunmarrow"]
    alone = [ask(town, stream=False) for town in towns]
    with ThreadPoolExecutor(16) as pool:
        found = [pool.submit(ask, town, stream) for stream in (False, True) for town in 2 * towns]
        texts = [one.result() for one in found]
    assert len({*alone}) > 1
    # In bfloat16 two tokens may be as likely: of the texts nearly all are the same.
    assert sum(text == one for text, one in zip(texts, 4 * alone, strict=True)) >= 12


def test_new_generations_are_taken_up_and_no_request_is_dropped(own_store, tmp_path):
    done, body = Event(), {"query": "which town makes blue glass?", "k": 40, "method": "dense"}
    record = {
        "id": "new",
        "domain": "travel",
        "text": "Blue glass is made in the town of Dunmarrow, and sold.",
    }
    more = write_lines(tmp_path / "more.jsonl", [record])
    reader = ("--reader", str(tiny_model(tmp_path / "tiny")), "--quantization", "none")

    with serving(own_store, *reader) as url, ThreadPoolExecutor(4) as pool:

        def hammer() -> set[tuple[int, int]]:
            seen = set()
            with httpx.Client(timeout=60) as client:
                while not done.is_set():
                    reply = client.post(f"{url}/search", json=body)
                    assert reply.status_code == 200, reply.text
                    hits = reply.json()["results"][0]["hits"]
                    assert len({hit["generation"] for hit in hits}) == 1
                    seen.add((hits[0]["generation"], len(hits)))
            return seen

        def wait_for(generation: int) -> None:
            for _ in range(600):
                if httpx.get(f"{url}/health").json()["store"]["generation"] == generation:
                    return
                done.wait(0.1)
            raise AssertionError(f"generation {generation} is not served")

        asking = [pool.submit(hammer) for _ in range(3)]
        try:
            delete(own_store, "Dunmarrow-1")
            wait_for(2)
            add_to(own_store, more)
            wait_for(3)
            compact(own_store)
            wait_for(4)
        finally:
            done.set()
        seen = set().union(*(one.result() for one in asking))
        # Nor does the server itself keep an old one open.
        assert compact(own_store)[1].open == ()
    # What each generation holds: all, one less, one more, and the same in fewer shards.
    assert seen <= {(1, 40), (2, 39), (3, 40), (4, 40)}
    assert {generation for generation, _ in seen} >= {2, 3}


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("path", ["/search", "/v1/chat/completions"])
def test_a_body_that_is_not_said_to_be_json_names_the_header(path, kind):
    """So curl sends it without -H."""
    headers = {"Content-Type": kind} if kind else {}
    reply = TestClient(create_app(SimpleNamespace(reader=None))).post(
        path, content='{"query": "x"}', headers=headers
    )
    assert reply.status_code == 422
    assert reply.json()["error"]["message"] == (
        "The request body is not sent as JSON: add the header Content-Type: application/json."
    )


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nowhere", 404, "There is no route '/nowhere': /docs lists the routes."),
        ("GET", "/search", 405, "'/search' takes POST, not GET: /docs lists the routes."),
        ("DELETE", "/health", 405, "'/health' takes GET, not DELETE: /docs lists the routes."),
    ],
)
def test_a_route_that_is_none_or_takes_another_method_says_where_all_are(method, path, status, message):
    reply = TestClient(create_app(SimpleNamespace(reader=None))).request(method, path)
    assert reply.status_code == status
    assert reply.json()["error"]["message"] == message
    assert ("allow" in reply.headers) == (status == 405)
