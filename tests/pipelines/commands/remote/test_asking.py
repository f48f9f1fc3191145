import json

import pytest


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("RALM_API_KEY", "a-key")
    monkeypatch.setattr("pipelines.commands.stores.open_stores", lambda *_: pytest.fail("opened"))


def test_a_search_is_printed_as_that_of_a_store(ralm, store, service, monkeypatch):
    options = ("-k", 3, "--method", "bm25", "--domain", "travel", "--where", "title=Dunmarrow")
    code, out, err = ralm("search", "--url", service, "blue glass", *options)
    assert (code, err) == (0, "")
    _, as_json, _ = ralm("search", "blue glass", "--url", service, *options, "--json")
    monkeypatch.undo()
    assert ralm("search", store, "blue glass", *options)[1] == out
    _, here, _ = ralm("search", store, "blue glass", *options, "--json")
    found, own = json.loads(as_json), json.loads(here)
    assert list(found) == list(own)
    assert [(hit["row"], hit["score"]) for hit in found["hits"]] == [
        (hit["row"], hit["score"]) for hit in own["hits"]
    ]


def test_an_answer_is_printed_as_that_of_a_reader_here(ralm, service):
    asked = ("ask", "--url", service, "How is the mayor of Bralgate chosen?", "-k", 2, "--budget", 60)
    code, out, err = ralm(*asked)
    assert (code, err) == (0, "")
    assert "search 0." in out
    code, out, _ = ralm(*asked, "--json", "--support")
    found = json.loads(out)
    assert list(found) == [
        *(
            "question",
            "answer",
            "abstained",
            "citations",
            "reader",
            "tokens",
            "finished",
            "trimmed",
            "seconds",
        )
    ]
    assert 0 < len(found["citations"]) <= 2
    assert "support" in found["seconds"]
    _, out, _ = ralm(*asked[:4], "--json", "--no-retrieval")
    assert json.loads(out)["citations"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["search", "--url", "localhost:8000", "x"], "is no address of a service"),
        (["search", "--url", "{url}", "x", "-k", "0"], "k must be at least 1, not 0"),
        (["search", "--url", "{url}", "x", "--method", "hybird"], "method"),
        (["search", "--url", "{url}", "x", "--where", "year"], "such as year>=2010"),
        (["search", "--url", "{url}", "x", "--decontaminate", "rouge"], "decontaminate"),
        (["ask", "--url", "{url}", " "], "hold text"),
        (["ask", "--url", "{url}", "x", "-k", "0"], "--no-retrieval asks the LM alone"),
    ],
)
def test_what_a_service_refuses_is_one_sentence(ralm, service, arguments, sentence):
    code, out, err = ralm(*(one.format(url=service) for one in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err
