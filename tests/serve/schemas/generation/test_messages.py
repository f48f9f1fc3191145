import pytest
from pydantic import ValidationError

from lm.prompts import Message, ToolCall
from serve.schemas.generation.messages import ChatMessage, question_at

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def turn(role, content="x", **more):
    return ChatMessage.model_validate({"role": role, "content": content} | more)


def test_a_turn_is_what_templates_write():
    assert turn("developer").to_message() == Message("system", "x")
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert turn("user", parts, name="ann").to_message() == Message("user", "ab", name="ann")
    called = turn("assistant", None, tool_calls=[CALL], refusal=None, annotations=[], audio=None)
    assert called.to_message() == Message("assistant", "", (ToolCall("c1", "f", "{}"),))
    assert turn("tool", tool_call_id="c1").to_message() == Message("tool", "x", tool_call_id="c1")


def test_the_question_is_the_users_last_turn_behind_which_tools_alone_have_spoken():
    called, answered = turn("assistant", None, tool_calls=[CALL]), turn("tool", tool_call_id="c1")
    assert question_at([turn("system"), turn("user"), turn("assistant"), turn("user")]) == 3
    assert question_at([turn("user"), called, answered]) == 0
    for turns in (
        [turn("system")],
        [turn("user"), called],
        [turn("user"), turn("system")],
        [turn("user", "")],
    ):
        with pytest.raises(ValueError, match="the last message must be the user's question"):
            question_at(turns)


@pytest.mark.parametrize("more", [{"tool_calls": [CALL]}, {"tool_call_id": "c1"}])
def test_what_is_of_other_roles_is_refused(more):
    with pytest.raises(ValidationError):
        turn("user", **more)
