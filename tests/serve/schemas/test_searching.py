import json
from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from base.errors import RalmError
from base.invalid import sentence
from datastore.conditions import Condition
from datastore.view import View
from lm.conditioning import Conditioning
from lm.support import Support
from retriever.refinement import Decontamination, Refinement
from retriever.request import Effort, Method, Search
from retriever.results import Hit, Ranking
from serve.answering.answers import Citation
from serve.schemas.chat import ChatMessage, ChatRequest
from serve.schemas.fields import Body
from serve.schemas.hits import CitationModel, HitModel
from serve.schemas.searching import QueryResult, SearchRequest, ViewModel
from tests.vectors import passage

USER = {"role": "user", "content": "Why?"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": " "},
        {"query": []},
        {"query": ["x"] * 257},
        {"query": "x", "k": 0},
        {"query": "x", "k": 1001},
        {"query": "x", "top": 3},
        {"query": 3},
        {"query": "half of a pair \ud800"},
        {"query": ["whole", "half of a pair \udc00"]},
        {"query": "x", "view": {"where": ["year=\ud800"]}},
        {"query": "x", "answers": [["y"]]},
        {"query": ["x", "y"], "decontaminate": {}, "answers": [["y"]]},
        {"query": "x", "decontaminate": {"method": "rouge"}},
    ],
)
def test_malformed_searches_are_refused(body):
    with pytest.raises(ValidationError):
        SearchRequest.model_validate(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "user", "content": "  "}]},
        {"messages": [{"role": "system", "content": "\ud800"}, USER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x \ud800"}]}]},
        {"messages": [USER], "stop": "\ud800"},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [USER], "max_tokens": 0},
        {"messages": [USER], "temperature": 3},
        {"messages": [USER], "n": 17},
        {"messages": [USER], "stop": ["a", "b", "c", "d", "e"]},
        {"messages": [USER], "stop": ""},
        {"messages": [USER], "retrieval": {"passages": -1}},
        {"messages": [USER], "retrieval": {"passages": 17, "conditioning": "replug"}},
        {"messages": [USER], "retrieval": {"neighbours": 51}},
        {"messages": [USER], "retrieval": {"replug_temperature": 0}},
        {"messages": [USER], "retrieval": {"prompt": "text"}},
    ],
)
def test_malformed_chats_are_refused(body):
    with pytest.raises(ValidationError):
        ChatRequest.model_validate(body)


NUMBERS = [
    *((SearchRequest, {"query": "x"}, name) for name in ("k", "nprobe", "depth", "recall", "weight")),
    *((SearchRequest, {"query": "x"}, name) for name in ("near_duplicates", "diversity")),
    *((SearchRequest, {"query": "x"}, f"view.{name}") for name in ("fraction", "seed")),
    *((SearchRequest, {"query": "x"}, f"decontaminate.{name}") for name in ("n", "threshold")),
    *((ChatRequest, {"messages": [USER]}, name) for name in ("max_tokens", "max_completion_tokens", "n")),
    *((ChatRequest, {"messages": [USER]}, name) for name in ("temperature", "top_p", "seed")),
    *(
        (ChatRequest, {"messages": [USER]}, f"retrieval.{name}")
        for name in ("passages", "budget", "neighbours")
    ),
]


@pytest.mark.parametrize("value", [True, "1", "1.0"])
@pytest.mark.parametrize(("model", "body", "name"), NUMBERS)
def test_what_is_no_number_is_not_made_one(model, body, name, value):
    outer, _, inner = name.partition(".")
    asked = body | {outer: {inner: value} if inner else value}
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(json.dumps(asked))
    said = sentence(model, refused.value.errors(), "The request body")
    assert said.startswith(f"{name} must be ")
    assert said.endswith(f"not {json.dumps(value).replace(chr(34), chr(39))}.")


@pytest.mark.parametrize("value", [True, "1"])
def test_nor_in_a_list(value):
    class Rows(Body):
        rows: list[int]

    assert Rows.model_validate({"rows": [1, 2.0]}).rows == [1, 2]
    with pytest.raises(ValidationError):
        Rows.model_validate({"rows": [1, value]})


@pytest.mark.parametrize(("model", "body", "name"), NUMBERS)
def test_every_number_is_taken_and_described(model, body, name):
    """JSON has one kind of number, so 1.0 is a whole one."""
    outer, _, inner = name.partition(".")
    model.model_validate_json(json.dumps(body | {outer: {inner: 1.0} if inner else 1.0}))
    assert '"ge"' not in json.dumps(model.model_json_schema())  # A bound that no client knows.


@pytest.mark.parametrize("text", ["year=>2000", "year<>2000", "year>=NaN", "year"])
def test_a_condition_that_is_none_is_refused_as_on_the_command_line(text):
    view = SearchRequest.model_validate({"query": "x", "view": {"where": [text]}}).view
    with pytest.raises(RalmError):
        view.to_view()


def test_a_stream_is_asked_for_by_true():
    with pytest.raises(ValidationError):
        ChatRequest.model_validate({"messages": [USER], "stream": "yes"})


def test_a_search_says_what_is_to_follow_it():
    plain = SearchRequest.model_validate({"query": "x"})
    assert (plain.queries, plain.refinement) == (["x"], Refinement())
    asked = {"query": ["x", "y"], "decontaminate": {"method": "overlap"}, "answers": [["a"], []]}
    found = SearchRequest.model_validate(asked | {"near_duplicates": 0.5})
    assert found.refinement == Refinement(0.5, Decontamination("overlap", 32))


def test_what_openai_sends_besides_is_taken_if_it_changes_nothing():
    body = {
        "messages": [USER],
        "frequency_penalty": 0,
        "user": "me",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert ChatRequest.model_validate(body).messages[0].text == "Why?"


def test_content_in_parts_is_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert ChatMessage.model_validate({"role": "user", "content": parts}).text == "ab"


def test_a_request_is_the_search_that_it_says():
    view = {"fraction": 0.5, "where": ["year>=2001"]}
    body = SearchRequest(query="x", k=3, nprobe=2, view=view, fusion="rrf", diversity=0.5)
    assert body.to_search() == Search(
        3,
        View(0.5, where=(Condition("year", ">=", "2001"),)),
        Effort(nprobe=2),
        Method(fusion="rrf"),
        Refinement(diversity=0.5),
    )
    assert SearchRequest(query="x").to_search() == Search()


def test_what_a_missing_shard_holds_is_not_said_to_be_nothing():
    whole = QueryResult.of("q", Ranking((), True), "none").model_dump()
    assert whole == {"query": "q", "hits": [], "exhausted": True, "shortfall": "none", "missing": []}
    lacking = QueryResult.of("q", Ranking((), True, (1,)), "lost").model_dump()
    assert lacking == whole | {"exhausted": False, "shortfall": "lost", "missing": [1]}


def test_a_hit_names_its_passage_for_good_and_a_number_keeps_its_digits():
    found = passage(10)
    exact = Decimal("0.1000000000000000000000001")
    hit = Hit(7, 0.12345678, replace(found, metadata={"share": exact, "year": 2003}), 2, "towns")
    shown = HitModel.of(hit).model_dump()
    assert shown == {
        "store": "towns",
        "row": 7,
        "generation": 2,
        "id": None,
        "url": None,
        "score": 0.123457,
        "domain": found.domain,
        "doc_id": found.doc_id,
        "chunk": 0,
        "start": 0,
        "metadata": {"share": str(exact), "year": 2003},
        "text": found.text,
    }
    cited = CitationModel.of_citation(Citation(1, True, hit)).model_dump()
    assert cited == {"number": 1, "cited": True, "read": None, "support": None} | shown
    cut = CitationModel.of_citation(Citation(1, True, hit, "A beginning.")).model_dump()
    assert cut == cited | {"read": "A beginning."}
    support = (Support("It is blue.", 2 / 3, None), Support("It is glass.", 1.0, -1.25))
    measured = CitationModel.of_citation(Citation(1, True, hit, support=support)).model_dump()["support"]
    assert measured == [
        {"sentence": "It is blue.", "words": 0.666667, "gain": None},
        {"sentence": "It is glass.", "words": 1.0, "gain": -1.25},
    ]
    assert list(cited) == ["number", "cited", "read", "support", *shown]


def test_a_chat_says_how_passages_are_put_to_the_reader():
    assert ChatRequest(messages=[USER]).retrieval.to_conditioning() == Conditioning()
    options = {"passages": 16, "budget": 9, "conditioning": "replug", "neighbours": 2}
    options |= {"replug_temperature": 0.5, "prompt": "few-shot"}
    body = ChatRequest.model_validate({"messages": [USER], "retrieval": options})
    assert body.retrieval.to_conditioning() == Conditioning("replug", 16, 9, 2, 0.5, "few-shot")


def test_a_view_of_many_conditions_is_shown_though_no_request_may_write_it():
    conditions = tuple(Condition.parse(f"year!={year}") for year in range(25))
    assert len(ViewModel.of(View(where=conditions)).model_dump()["where"]) == 25
