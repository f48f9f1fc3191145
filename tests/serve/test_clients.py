"""The server as clients of OpenAI's API use it: OpenAI's own, and LangChain's chat class."""

import json

import httpx
import openai
import pytest
from pydantic import BaseModel

QUESTION = {"role": "user", "content": "How is the mayor of Bralgate chosen?"}


class Mayor(BaseModel):
    """What an answer is to be parsed as."""

    years: int


def test_openais_client_streams_the_text_that_it_gets_whole_and_its_usage(client):
    asked = {"model": "ralm", "messages": [QUESTION], "max_completion_tokens": 40, "n": 1}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    pieces = [one.choices[0].delta.content or "" for one in chunks if one.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert any(piece.strip() == "[1]" for piece in pieces)


def test_openais_client_parses_json_of_a_schema(client):
    reply = client.chat.completions.parse(
        model="ralm",
        messages=[{"role": "developer", "content": "Answer by a number."}, QUESTION],
        response_format=Mayor,
        max_tokens=24,
    )
    assert isinstance(reply.choices[0].message.parsed, Mayor)


def test_openais_client_gets_log_probabilities_and_completions(client):
    asked = {"model": "ralm", "max_tokens": 2, "seed": -1}
    chat = client.chat.completions.create(**asked, messages=[QUESTION], logprobs=True, top_logprobs=1)
    assert len(chat.choices[0].logprobs.content) == 2
    assert chat.choices[0].logprobs.content[0].top_logprobs[0].logprob <= 0
    text = client.completions.create(**asked, prompt=["The capital of France is"], echo=True, logprobs=1)
    assert text.choices[0].text.startswith("The capital of France is")
    assert len(text.choices[0].logprobs.tokens) == text.usage.total_tokens


def test_openais_client_sees_what_is_refused(client):
    with pytest.raises(openai.BadRequestError, match="chat template has no place for tools"):
        client.chat.completions.create(
            model="ralm",
            messages=[QUESTION],
            tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        )
    with pytest.raises(openai.UnprocessableEntityError, match="frequency_penalty must be at most 0"):
        client.chat.completions.create(model="ralm", messages=[QUESTION], frequency_penalty=1)


def test_a_stream_over_the_wire_is_read_by_lines_as_curl_and_httpx_split_them(url):
    asked = {"messages": [QUESTION], "max_tokens": 4, "stream": True}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=asked, timeout=60) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line and not line.startswith(":")]
    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: "))["choices"] for line in lines[:-1])


def test_langchains_chat_class_asks_whole_in_pieces_and_for_a_schema(url):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model="ralm", base_url=f"{url}/v1", api_key="none", max_tokens=40, max_retries=0, temperature=0
    )
    whole = model.invoke([("system", "Answer in one sentence."), ("user", QUESTION["content"])])
    assert "8 years" in whole.content
    assert whole.usage_metadata["output_tokens"] > 0
    pieces = list(model.stream([("system", "Answer in one sentence."), ("user", QUESTION["content"])]))
    assert "".join(one.content for one in pieces) == whole.content
    parsed = model.with_structured_output(Mayor, method="json_schema").invoke(QUESTION["content"])
    assert isinstance(parsed, Mayor)
