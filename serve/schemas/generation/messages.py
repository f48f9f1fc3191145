"""The turns of a conversation as OpenAI's clients send them."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from lm.prompts import Message, ToolCall
from serve.schemas.fields import Body, Unicode


class TextPart(Body):
    """A part of a message's content; only text is read."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: Unicode


class FunctionCall(Body):
    """A function that an assistant's turn calls; its arguments are JSON."""

    model_config = ConfigDict(extra="forbid")

    name: Unicode
    arguments: Unicode


class ToolCallModel(Body):
    """A call of a tool, as an assistant's turn had it."""

    model_config = ConfigDict(extra="forbid")

    id: Unicode
    type: Literal["function"] = "function"
    function: FunctionCall
    index: int | None = None


class ChatMessage(Body):
    """One turn of a conversation. What replies hold, clients send back: so it may stand in one."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Unicode | list[TextPart] | None = None
    name: Unicode | None = None
    tool_calls: list[ToolCallModel] = Field(default_factory=list)
    tool_call_id: Unicode | None = None
    refusal: Unicode | None = None
    annotations: list[Any] = Field(default_factory=list)
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.content is None and not (self.role == "assistant" and (self.tool_calls or self.refusal)):
            raise ValueError(f"a turn of role {self.role} must have content")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("tool_calls are of an assistant's turn")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("a tool's turn, and no other, has the tool_call_id of the call that it answers")
        return self

    @property
    def text(self) -> str:
        """Its content; parts are joined as they stand."""
        if self.content is None:
            return self.refusal or ""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)

    def to_message(self) -> Message:
        """As a template writes it. OpenAI renamed "system" to "developer"; templates know the older name."""
        calls = tuple(ToolCall(one.id, one.function.name, one.function.arguments) for one in self.tool_calls)
        role = "system" if self.role == "developer" else self.role
        return Message(role, self.text, calls, self.tool_call_id, self.name)


class FunctionModel(Body):
    """A function that a reader may call: its arguments by a JSON schema."""

    model_config = ConfigDict(extra="forbid")

    name: Unicode
    description: Unicode = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: Literal[False] = False


class ToolModel(Body):
    """A tool that a reader may call."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["function"]
    function: FunctionModel


def question_at(messages: Sequence[ChatMessage]) -> int:
    """Which message is the question: the user's last one, behind which tools alone may have spoken.

    Raises ValueError if there is none.
    """
    at = max((n for n, one in enumerate(messages) if one.role == "user"), default=-1)
    answers = messages[at + 1 :]
    if at < 0 or not messages[at].text.strip() or (answers and answers[-1].role != "tool"):
        raise ValueError("the last message must be the user's question, or what a tool gave, and hold text")
    return at
