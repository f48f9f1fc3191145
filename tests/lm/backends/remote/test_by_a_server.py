"""What people start, with a reader behind a server: one question, the API, a scaling study."""

import json

import pytest
from fastapi.testclient import TestClient

from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.corpus import questions, write_lines
from tests.lm.backends.remote.servers import answer, dropped, html, status, stream

QUESTION = {"messages": [{"role": "user", "content": "Who makes blue glass?"}]}
GLASS = "The people of Dunmarrow make blue glass."


@pytest.fixture
def url(server, monkeypatch) -> str:
    monkeypatch.setattr("lm.backends.remote.replicas.FIRST_WAIT", 0.0)
    server.usual = answer(GLASS)
    return server.url


@pytest.fixture
def api(url, store) -> TestClient:
    answerer = Answerer(LocalRetriever.open(store), open_reader(ReaderChoice(url)))
    return TestClient(create_app(answerer), raise_server_exceptions=False)


def test_a_question_is_answered(ralm, store, server, url):
    code, out, err = ralm("ask", store, "Who makes blue glass?", "--reader", url, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["answer"].startswith("The people of Dunmarrow make blue glass")
    assert found["reader"] == {"name": "tiny", "quantization": "as served", "adapter": None, "bytes": None}
    (asked,) = server.completions
    assert "blue glass" in asked.body["messages"][-1]["content"]
    code, out, err = ralm("ask", store, "Who makes blue glass?", "--reader", url)
    assert code == 0, err
    assert "tiny, as served, bytes unknown" in out


def test_a_server_that_fails_is_one_sentence(ralm, store, server, url):
    ways = {"HTML instead of JSON": html(), "no such model": status(400, {"error": "no such model"})}
    for said, way in ways.items():
        server.usual = way
        code, _, err = ralm("ask", store, "Who makes blue glass?", "--reader", url)
        assert code == 2
        assert said in err
        assert url in err
        assert "Traceback" not in err


def test_the_api_answers_and_says_503_if_the_server_does_not(api, server):
    assert api.post("/v1/chat/completions", json=QUESTION).status_code == 200
    assert api.get("/health").json()["reader"]["name"] == "tiny"
    server.usual = dropped
    failed = api.post("/v1/chat/completions", json=QUESTION)
    assert failed.status_code == 503
    assert server.url in failed.json()["error"]["message"]
    assert api.post("/v1/chat/completions", json=QUESTION | {"stream": True}).status_code == 503


def events(api) -> list[str]:
    with api.stream("POST", "/v1/chat/completions", json=QUESTION | {"stream": True}) as answered:
        return [line.removeprefix("data: ") for line in answered.iter_lines() if line]


def test_the_api_streams_and_says_if_a_stream_breaks_off(api, server):
    server.ways = [stream([GLASS[:10], GLASS[10:]])]
    whole = events(api)
    assert whole[-1] == "[DONE]"
    server.ways = [stream(["It is made by the people of Dunmarrow. ", "They "], then=dropped)]
    broken = events(api)
    assert "[DONE]" not in broken
    error = json.loads(broken[-1])["error"]
    assert error["code"] == 503
    assert "broke off" in error["message"]


def test_a_scaling_study_is_read_by_it(ralm, store, server, url, tmp_path):
    asked = write_lines(tmp_path / "q.jsonl", questions())
    where = ("--questions", asked, "-o", tmp_path / "out", "--fractions", "1", "--seeds", "1")
    code, _, err = ralm("eval", "scaling", store, *where, "--reader", url, "--reader-questions", 4)
    assert code == 0, err
    assert len(server.completions) > 0
    assert "bits per answer are left out" in " ".join(err.split())
    assert (
        "tiny" in (tmp_path / "out/report.md").read_text() or url in (tmp_path / "out/report.md").read_text()
    )
