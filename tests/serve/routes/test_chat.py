"""Chat as it is asked over HTTP, of an application in this process, with the packaged reader."""

import json
from dataclasses import replace

import jsonschema
import pytest
from fastapi.testclient import TestClient

from lm.batching import together
from lm.citations import Citer
from lm.conditioning import GROUNDED, WITH_PASSAGES
from lm.reader import Sampling, TextStream
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.answering.answers import CitedStream
from serve.app import create_app
from serve.routes.chat import _Streamed
from serve.schemas.chat import ChatRequest
from tests.lm.models import tiny_model, tiny_reader

MAYOR = {"role": "user", "content": "How is the mayor of Bralgate chosen?"}


@pytest.fixture(scope="module")
def app(store, reader):
    with TestClient(create_app(Answerer(LocalRetriever.open(store), together(reader)))) as client:
        yield client


@pytest.fixture(scope="module")
def tiny(store, tmp_path_factory):
    """The same with a reader whose template calls tools, which writes nonsense quickly."""
    reader = tiny_reader(tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=1500))
    reader._tokenizer.chat_template = (
        "{% for tool in tools or [] %}<tool>{{ tool.function.name }}{% endfor %}"
        "{% for one in messages %}<{{ one.role }}>{{ one.content }}{% endfor %}"
    )
    with TestClient(create_app(Answerer(LocalRetriever.open(store), together(reader)))) as client:
        yield client


def ask(app, *messages, **fields):
    reply = app.post("/v1/chat/completions", json={"messages": messages or [MAYOR]} | fields)
    assert reply.status_code == 200, reply.text
    return reply


def refused(app, status, *messages, **fields):
    reply = app.post("/v1/chat/completions", json={"messages": messages or [MAYOR]} | fields)
    assert reply.status_code == status, reply.text
    return reply.json()["error"]["message"]


def events(reply):
    lines = [line for line in reply.text.split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def contents(chunks, index=0):
    choices = [one for chunk in chunks for one in chunk["choices"] if one["index"] == index]
    return [one["delta"]["content"] for one in choices if one["delta"].get("content")]


def test_a_stream_is_the_same_text_token_by_token_and_its_markers_come_behind_their_sentences(app):
    whole = ask(app, max_tokens=40).json()
    chunks = events(ask(app, max_tokens=40, stream=True))
    pieces = contents(chunks)
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert len(pieces) >= whole["usage"]["completion_tokens"] - 4
    assert any(piece.strip().startswith("[") for piece in pieces)
    assert chunks[-1]["choices"][0]["cited"] == whole["choices"][0]["cited"] != []
    for field in ("citations", "trimmed", "missing", "query", "manifest", "view", "reader"):
        assert chunks[-1][field] == whole[field]
    # What is asked again is not searched again.
    assert set(chunks[-1]["seconds"]) == {"queue", "prompt", "prefill", "decode"} < set(whole["seconds"])


def test_a_stream_says_what_it_took_if_it_is_asked_to(tiny):
    wanted = ask(tiny, max_tokens=4).json()["usage"]
    *chunks, last = events(ask(tiny, max_tokens=4, stream=True, stream_options={"include_usage": True}))
    assert (last["choices"], last["usage"]) == ([], wanted)
    assert {json.dumps(one["usage"]) for one in chunks} == {"null"}
    assert all("usage" not in one for one in events(ask(tiny, max_tokens=2, stream=True)))
    assert "add stream: true" in refused(tiny, 422, stream_options={"include_usage": True})


def test_several_choices_are_drawn_each_by_its_own_seed(tiny):
    asked = {"n": 3, "max_tokens": 5, "temperature": 1.5, "seed": -7, "retrieval": {"passages": 1}}
    reply = ask(tiny, **asked).json()
    texts = [one["message"]["content"] for one in reply["choices"]]
    assert [one["index"] for one in reply["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert reply["usage"]["completion_tokens"] == 15
    again = events(ask(tiny, **asked, stream=True))
    assert ["".join(contents(again, at)) for at in range(3)] == texts
    ends = [one["choices"][0]["finish_reason"] for one in again]
    assert ends.count("length") == 3
    assert sum("citations" in one for one in again) == 1


def test_any_whole_number_is_a_seed(tiny):
    asked = {"max_tokens": 4, "temperature": 1.0, "retrieval": {"off": True}}
    texts = {}
    for seed in (-1, 2**63 - 1, 2**80, 0, 3):
        texts[seed] = ask(tiny, **asked, seed=seed).json()["choices"][0]["message"]["content"]
    assert texts[-1] == texts[2**63 - 1]
    assert texts[0] == texts[2**80] != texts[3]
    assert "seed must be a whole number" in refused(tiny, 422, seed=0.5)


SCHEMA = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "maxLength": 12},
        "years": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["answer", "years"],
    "additionalProperties": False,
}


def test_an_answer_is_kept_to_a_json_schema_and_bears_no_marker(tiny):
    form = {"type": "json_schema", "json_schema": {"name": "mayor", "schema": SCHEMA, "strict": True}}
    reply = ask(tiny, response_format=form).json()
    text = reply["choices"][0]["message"]["content"]
    jsonschema.validate(json.loads(text), SCHEMA)
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert "".join(contents(events(ask(tiny, response_format=form, stream=True)))) == text
    assert _content(ask(tiny, max_tokens=2, response_format={"type": "json_object"})).startswith("{")
    assert _content(ask(tiny, max_tokens=2, response_format={"type": "text"})) == _content(
        ask(tiny, max_tokens=2)
    )


def _content(reply):
    return reply.json()["choices"][0]["message"]["content"]


def test_a_wrong_format_is_refused_by_a_sentence(tiny):
    bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "strin"}}}
    assert "The JSON schema of the answer cannot be kept to" in refused(tiny, 400, response_format=bad)
    assert "cannot be kept to" in refused(tiny, 400, response_format=bad, stream=True)
    assert "response_format has an unknown name, 'json_schem'" in refused(
        tiny, 422, response_format={"type": "json_schem"}
    )


def test_tokens_have_log_probabilities_in_a_stream_too(tiny):
    reply = ask(tiny, max_tokens=3, logprobs=True, top_logprobs=2).json()
    found = reply["choices"][0]["logprobs"]["content"]
    assert len(found) == reply["usage"]["completion_tokens"] == 3
    assert all(one["top_logprobs"][0]["token"] == one["token"] for one in found)
    assert all(one["logprob"] <= 0 and len(one["top_logprobs"]) == 2 for one in found)
    assert b"".join(bytes(one["bytes"]) for one in found).decode(errors="replace").strip() == _content(
        ask(tiny, max_tokens=3)
    )
    chunks = events(ask(tiny, max_tokens=3, logprobs=True, stream=True))
    streamed = [t for one in chunks if (got := one["choices"][0]["logprobs"]) for t in got["content"]]
    assert [one["token"] for one in streamed] == [one["token"] for one in found]
    assert reply["choices"][0]["logprobs"]["refusal"] is None
    assert "add logprobs: true" in refused(tiny, 422, top_logprobs=2)


TOOL = {
    "type": "function",
    "function": {"name": "river_of", "parameters": {"type": "object", "properties": {}}},
}


def test_tools_reach_the_template_and_what_they_gave_is_read(tiny, app):
    called = {"id": "c1", "type": "function", "function": {"name": "river_of", "arguments": "{}"}}
    turns = [
        MAYOR,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "By lot."},
    ]
    plain, offered = (
        ask(tiny, *turns, max_tokens=1, **more).json()["usage"]["prompt_tokens"]
        for more in ({}, {"tools": [TOOL]})
    )
    assert offered > plain
    assert (
        ask(tiny, *turns, max_tokens=1, tools=[TOOL], tool_choice="none").json()["usage"]["prompt_tokens"]
        == plain
    )
    assert "chat template has no place for tools" in refused(app, 400, tools=[TOOL])
    assert ask(app, *turns, max_tokens=1).json()["query"] == MAYOR["content"]
    assert "tool_choice must be 'auto' or 'none'" in refused(app, 422, tool_choice="required")


def test_a_readers_calls_of_tools_come_as_calls(tiny, monkeypatch):
    """What a reader that was taught to call tools writes, kept to by a grammar: this one writes nonsense."""
    said = '<tool_call>{"name": "river_of", "arguments": {"town": "Orl"}}</tool_call>'
    draft = tiny.app.state.answerer.reader._reader
    ids = [*draft.tokens(said), *draft._vocabulary.ends]
    choices = {}

    def token(choice, logits):
        at = choices[id(choice)] = choices.get(id(choice), -1) + 1
        return ids[at]

    monkeypatch.setattr("lm.backends.generation.choosing.Choice.token", token)
    monkeypatch.setattr("lm.backends.generation.choosing.Choice.likeliest", False)
    asked = {"tools": [TOOL], "max_tokens": 90}
    choice = ask(tiny, **asked).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "river_of", "arguments": '{"town": "Orl"}'}
    back = [MAYOR, choice["message"], {"role": "tool", "tool_call_id": call["id"], "content": "The Mirn."}]
    assert (
        ask(tiny, *back, tools=[TOOL], tool_choice="none", max_tokens=90)
        .json()["choices"][0]["message"]["content"]
        .startswith("<tool_call>")
    )
    chunks = events(ask(tiny, **asked, stream=True))
    assert contents(chunks) == []
    (streamed,) = [one for one in chunks if "tool_calls" in one["choices"][0]["delta"]]
    assert streamed["choices"][0]["delta"]["tool_calls"][0]["function"] == call["function"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "assistant", "content": None}, "a turn of role assistant must have content"),
        ({"role": "assistant", "content": "Well."}, "the last message must be the user's question"),
        ({"role": "tool", "content": "x"}, "has the tool_call_id of the call that it answers"),
        ({"role": "user", "content": " "}, "the last message must be the user's question"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "type must be 'text', not 'image_url'"),
        ({"role": "user", "contents": "x"}, "contents is no field of the request: did you mean content?"),
        ({"role": "robot", "content": "x"}, "must be 'system', 'developer', 'user', 'assistant' or 'tool'"),
    ],
)
def test_a_turn_that_is_none_is_refused(tiny, message, reason):
    assert reason in refused(tiny, 422, MAYOR, message)


def test_null_is_as_left_out(tiny):
    names = [name for name in ChatRequest.model_fields if name not in ("messages", "max_tokens")]
    asked = {"max_tokens": 3} | {name: None for name in names}
    assert _content(ask(tiny, **asked)) == _content(ask(tiny, max_tokens=3))
    nested = {"retrieval": {"passages": None, "view": {"where": None}}, "stop": None, "max_tokens": 3}
    assert _content(ask(tiny, **nested)) == _content(ask(tiny, max_tokens=3))
    reply = tiny.post("/v1/chat/completions", json={"messages": None})
    assert reply.json()["error"]["message"] == "messages must be a list, not nothing."


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"retrievl": {}}, "retrievl is no field of the request: did you mean retrieval?"),
        ({"max_token": 3}, "max_token is no field of the request: did you mean max_tokens?"),
        ({"frequency_penalty": 0.5}, "frequency_penalty must be at most 0, not 0.5"),
        ({"presence_penalty": -1}, "presence_penalty must be at least 0, not -1"),
        ({"logit_bias": {"50": 5}}, "logit_bias must have at most 0 entries"),
        ({"store": True}, "store must be False"),
        ({"service_tier": "flex"}, "service_tier must be 'auto' or 'default'"),
        ({"n": 17}, "n must be at most 16"),
        ({"functions": []}, "functions is no field of the request"),
        ({"retrieval": {"k": 2, "passages": 3}}, "k and passages are one thing: give one of 2 and 3"),
        ({"retrieval": {"off": True, "k": 2}}, "off leaves nothing to say about retrieval: leave out k"),
        ({"retrieval": {"query": " "}}, "a query must hold text"),
        ({"retrieval": {"support": True}, "n": 2}, "support is measured of one answer"),
    ],
)
def test_what_would_change_nothing_is_refused_not_ignored(tiny, fields, reason):
    assert reason in refused(tiny, 422, **fields)


def test_fields_that_change_no_answer_are_taken(tiny):
    more = {
        "user": "ann",
        "metadata": {"a": "b"},
        "store": False,
        "service_tier": "auto",
        "modalities": ["text"],
    }
    assert _content(ask(tiny, max_tokens=3, parallel_tool_calls=True, **more)) == _content(
        ask(tiny, max_tokens=3)
    )


def test_retrieval_is_chosen_in_full(tiny):
    view = {"fraction": 1.0, "seed": 0, "domains": ["history"], "where": ["year<1300"]}
    options = {"k": 2, "query": "blue glass", "view": view, "method": "dense", "depth": 5}
    reply = ask(tiny, max_tokens=1, retrieval=options | {"near_duplicates": 0.9, "diversity": 0.1}).json()
    assert len(reply["citations"]) == 2
    assert {one["domain"] for one in reply["citations"]} == {"history"}
    assert (reply["query"], reply["view"]) == ("blue glass", view)
    assert "give either recall, or those two" in refused(tiny, 400, retrieval={"recall": 0.9, "nprobe": 3})
    assert "There is no store 'town' here: there are towns; did you mean towns?" in refused(
        tiny, 400, retrieval={"store": "town"}
    )
    assert ask(tiny, max_tokens=1, retrieval={"store": "towns"}).json()["citations"]


def test_with_retrieval_off_the_reader_gets_the_turns_as_they_are(app):
    system = {"role": "developer", "content": "Say nothing."}
    reply = ask(app, system, MAYOR, max_tokens=1, retrieval={"off": True}).json()
    assert (reply["citations"], reply["query"], reply["manifest"]) == ([], None, None)
    reader = app.app.state.answerer.reader
    body = {"messages": [system, MAYOR], "retrieval": {"off": True}}
    prepared = app.app.state.answerer.prepare(ChatRequest.model_validate(body).to_inquiry())
    assert [(one.role, one.content) for one in prepared.asked.conversation] == [
        ("system", "Say nothing."),
        ("user", MAYOR["content"]),
    ]
    assert reply["usage"]["prompt_tokens"] == reader.prompt_tokens(prepared.asked)


def test_a_clients_system_message_keeps_its_place_and_ours_stands_behind_it(app):
    turns = [
        {"role": "system", "content": "Answer in French."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Where is "}, {"type": "text", "text": "Orl?"}],
        },
        {"role": "assistant", "content": "There."},
        MAYOR,
    ]
    answerer = app.app.state.answerer

    def conversation(*messages, **fields):
        request = ChatRequest.model_validate({"messages": messages} | fields)
        return answerer.prepare(request.to_inquiry()).asked.conversation

    found = conversation(*turns)
    assert [one.role for one in found] == ["system", "user", "assistant", "user"]
    assert found[0].content == f"Answer in French.\n\n{GROUNDED}"
    assert found[1].content == "Where is Orl?"
    assert conversation(*turns[1:])[0].content == WITH_PASSAGES
    assert conversation(*turns, retrieval={"passages": 0})[0].content == "Answer in French."


def test_what_is_searched_for_is_made_of_the_conversation(tiny):
    turns = [
        {"role": "user", "content": "What is the river of Dunmarrow called?"},
        {"role": "assistant", "content": "The Mirn."},
        {"role": "user", "content": "And what is it known for?"},
    ]
    reply = ask(tiny, *turns, max_tokens=1).json()
    assert reply["query"] == "dunmarrow mirn And what is it known for?"
    assert any(one["doc_id"].startswith("Dunmarrow") for one in reply["citations"])
    assert ask(tiny, *turns, MAYOR, max_tokens=1).json()["query"] == MAYOR["content"]


def test_a_request_is_greedy_unless_it_asks_for_a_temperature():
    asked = {"messages": [MAYOR]}
    assert ChatRequest.model_validate(asked).to_sampling() == Sampling()
    fields = {"temperature": 0.7, "top_p": 0.9, "seed": 3, "stop": "x", "max_tokens": 5}
    assert ChatRequest.model_validate(asked | fields).to_sampling() == Sampling(
        max_tokens=5, temperature=0.7, top_p=0.9, stop=("x",), seed=3
    )


def test_the_newer_name_of_the_token_limit_wins():
    asked = {"messages": [MAYOR], "max_tokens": 5, "max_completion_tokens": 7}
    assert ChatRequest.model_validate(asked).to_sampling().max_tokens == 7


def test_nothing_is_measured_for_who_has_left():
    stream = CitedStream(TextStream(iter(["Glass."]), lambda: None), Citer(()))
    body = ChatRequest.model_validate({"messages": [MAYOR]})
    chunks = _Streamed(None, None, body, None).chunks([stream])  # type: ignore[arg-type]
    assert next(chunks)["choices"][0]["delta"]["role"] == "assistant"
    assert next(chunks)["choices"][0]["delta"]["content"] == "Glass."
    stream.close()
    assert list(chunks) == []


def test_what_no_passage_supports_is_not_answered_and_nothing_is_cited(app, reader, monkeypatch):
    supported = {"retrieval": {"only_supported": True}, "max_tokens": 24}
    opera = {"role": "user", "content": "Who wrote the opera Carmen?"}
    silent = ask(app, opera, **supported).json()
    (choice,) = silent["choices"]
    assert choice["message"]["content"] == "I do not know."
    assert (choice["abstained"], choice["cited"], choice["finish_reason"]) == (True, [], "stop")
    assert not any(one["cited"] for one in silent["citations"])
    told = ask(app, **supported).json()["choices"][0]
    assert not told["abstained"]
    assert told["cited"]
    # Whatever is likeliest: the bound alone decides, and it does so before anything is sent.
    said = reader._vocabulary.abstention
    monkeypatch.setattr(reader._vocabulary, "abstention", replace(said, unless=1e-9))
    for more in ({}, {"temperature": 1.5, "seed": 1}):
        whole = ask(app, **supported, **more).json()["choices"][0]
        assert (whole["message"]["content"], whole["abstained"], whole["cited"]) == (
            "I do not know.",
            True,
            [],
        )
        chunks = events(ask(app, **supported, **more, stream=True))
        assert "".join(contents(chunks)) == "I do not know."
        (end,) = chunks[-1]["choices"]
        assert (end["abstained"], end["cited"], end["finish_reason"]) == (True, [], "stop")
    assert not ask(app, max_tokens=24).json()["choices"][0]["abstained"]


@pytest.mark.parametrize("stream", [False, True])
def test_of_what_nothing_is_found_nobody_is_asked(tiny, stream):
    nothing = {"only_supported": True, "view": {"fraction": 0.001, "seed": 5}}
    reply = ask(tiny, retrieval=nothing, stream=stream, n=2)
    if stream:
        chunks = events(reply)
        ends = [one for chunk in chunks for one in chunk["choices"] if one["finish_reason"]]
        assert ["".join(contents(chunks, at)) for at in range(2)] == ["I do not know."] * 2
        found = chunks[-1]
    else:
        found, ends = reply.json(), reply.json()["choices"]
        assert found["usage"]["total_tokens"] == 0
        assert [one["message"]["content"] for one in ends] == ["I do not know."] * 2
    assert [one["abstained"] for one in ends] == [True, True]
    assert found["citations"] == []


def test_only_supported_is_refused_where_it_cannot_be(tiny, app):
    only = {"only_supported": True}
    for stream in (False, True):
        assert "has not learnt to abstain" in refused(tiny, 400, retrieval=only, stream=stream)
    for more in ({"passages": 0}, {"conditioning": "none"}):
        assert "without passages nothing is supported" in refused(tiny, 422, retrieval=only | more)
    assert "an abstention is no JSON" in refused(
        app, 422, retrieval=only, response_format={"type": "json_object"}
    )
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    assert "no passage supports a call" in refused(app, 422, retrieval=only, tools=[tool])
