from lm.prompts import ToolCall
from lm.reader import Completion, Position, TokenLogprob
from serve.schemas.generation.choices import (
    called,
    chat_logprobs,
    completion_logprobs,
    finish_reason,
    usage_of,
)


def position(data, logprob, *top):
    return Position(TokenLogprob(0, data, logprob), tuple(TokenLogprob(1, one, log) for one, log in top))


POSITIONS = [
    position(b"caf", None),
    position(b"\xc3", -1.0, (b"e", -0.5)),
    position(b"\xa9", -0.1, (b"\xa9", -0.1)),
]


def test_completions_write_half_a_character_by_its_bytes():
    assert completion_logprobs(POSITIONS, start=2) == {
        "tokens": ["caf", "bytes:\\xc3", "bytes:\\xa9"],
        "token_logprobs": [None, -1.0, -0.1],
        "top_logprobs": [None, {"e": -0.5, "bytes:\\xc3": -1.0}, {"bytes:\\xa9": -0.1}],
        "text_offset": [2, 5, 6],
    }


def test_chat_tells_the_bytes_of_each_token():
    content = chat_logprobs(POSITIONS[1:])["content"]
    assert bytes(byte for one in content for byte in one["bytes"]).decode() == "é"
    assert content[0]["top_logprobs"] == [{"token": "e", "bytes": [101], "logprob": -0.5}]


def test_a_prompt_counts_once_however_many_texts_stand_behind_it():
    texts = [Completion("a", 7, 2, True), Completion("b", 7, 3, False)]
    assert usage_of(texts) == {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    assert [finish_reason(one.finished) for one in texts] == ["stop", "length"]


def test_calls_have_ids_of_their_own():
    found = called([ToolCall("", "f", "{}"), ToolCall("c1", "g", "{}")])["tool_calls"]
    assert [one["function"]["name"] for one in found] == ["f", "g"]
    assert found[0]["id"].startswith("call_")
    assert found[1]["id"] == "c1"
    assert called([]) == {}
