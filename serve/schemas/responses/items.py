"""The turns of a conversation as items of OpenAI's responses."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from base.invalid import written
from lm.prompts import Message
from serve.schemas.fields import Unicode

_ITEMS, _PARTS = ("message", "file_search_call"), ("input_text", "output_text", "text")


class ContentPart(BaseModel):
    """A part of an item's content; only text is read. What a reply holds may stand in one, too."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["input_text", "output_text", "text"]
    text: Unicode
    annotations: list[Any] = Field(default_factory=list)
    logprobs: list[Any] | None = None
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputItem(BaseModel):
    """A message; or a search that an earlier reply told of, of which nothing is read."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["message", "file_search_call"] = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: Unicode | list[ContentPart] | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None
    queries: list[str] | None = None
    results: list[Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_alone(cls, value: Any) -> Any:
        """Say what is not read before pydantic lists all that it might have been."""
        given = value if isinstance(value, dict) else {}
        kind, content = given.get("type", "message"), given.get("content")
        if kind not in _ITEMS:
            raise ValueError(f"an item is a message, not {written(kind)}: no other is read")
        for part in content if isinstance(content, list) else ():
            of = part.get("type") if isinstance(part, dict) else None
            if of is not None and of not in _PARTS:
                raise ValueError(f"a message holds text (input_text), not {written(of)}: no other is read")
        return value

    @property
    def text(self) -> str:
        """Its content; parts are joined as they stand."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


def turns_of(given: str | Sequence[InputItem]) -> list[Message]:
    """The turns, the question last. Raises ValueError if they do not end with one."""
    if isinstance(given, str):
        turns = [Message("user", given)]
    else:
        messages = [one for one in given if one.type == "message"]
        for one in messages:
            if one.role is None or one.content is None:
                raise ValueError("each message of `input` has a role and content")
        # OpenAI renamed "system" to "developer"; chat templates know the older name.
        turns = [Message("system" if m.role == "developer" else str(m.role), m.text) for m in messages]
    if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
        raise ValueError("the last item of `input` must be the user's question and hold text")
    return turns
