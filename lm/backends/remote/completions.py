"""Requests for a continuation and what comes of them: OpenAI's chat for conversations, completions for texts.

Knows no server: what any of them answers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lm.backends.remote.exchange import Stream
from lm.backends.remote.failures import Malformed
from lm.prompts import Message
from lm.reader import Sampling

# OpenAI's own servers take no more: others are cut off here.
_MOST_STOPS = 4
# Why a text may have ended otherwise than by itself: it is none to go by.
_LOST = ("abort", "error", "content_filter")


@dataclass(frozen=True, slots=True)
class Written:
    """A prompt as a server takes it: turns and tools, a text, or tokens.

    `templated`: the text holds its special tokens already.
    """

    turns: tuple[Message, ...] = ()
    text: str = ""
    templated: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    tokens: tuple[int, ...] = ()

    def route(self, url: str) -> str:
        """Where a replica takes it."""
        return f"{url}/chat/completions" if self.turns else f"{url}/completions"

    def body(self, model: str) -> dict[str, Any]:
        """The part of a request that holds it."""
        if self.turns:
            tools = {"tools": [dict(one) for one in self.tools]} if self.tools else {}
            return {"model": model, "messages": [_turn(one) for one in self.turns]} | tools
        if self.tokens:
            return {"model": model, "prompt": list(self.tokens)}
        special = {"add_special_tokens": False} if self.templated else {}
        return {"model": model, "prompt": self.text} | special


def _turn(one: Message) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in one.tool_calls
    ]
    more = {"tool_calls": calls, "tool_call_id": one.tool_call_id, "name": one.name}
    return {"role": one.role, "content": one.content} | {key: value for key, value in more.items() if value}


@dataclass(frozen=True, slots=True)
class Reply:
    """A continuation as a server gives it; None where it does not say how many tokens it counted."""

    text: str
    cut_off: bool
    prompt_tokens: int | None
    tokens: int | None


def sampled(sampling: Sampling) -> dict[str, Any]:
    """The part of a request that says how to continue."""
    found: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
    if sampling.temperature > 0:
        found["top_p"] = sampling.top_p
    if sampling.seed is not None:
        found["seed"] = sampling.seed
    if sampling.stop:
        found["stop"] = list(sampling.stop[:_MOST_STOPS])
    if sampling.schema is not None:
        schema = {"name": "answer", "schema": json.loads(sampling.schema), "strict": True}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return found


def reply(answer: Any) -> Reply:
    """The continuation in an answer. Raises Malformed for one that holds none, or an unfinished one."""
    choice = _choice(answer)
    if choice is None:
        raise Malformed("an answer without choices")
    reason = ended(choice)
    if reason is None:
        raise Malformed("an answer without a finish_reason")
    usage = answer.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    return Reply(
        _text(choice, "message"), reason == "length", _count(counted, "prompt"), _count(counted, "completion")
    )


def pieces(stream: Stream) -> Iterator[tuple[str, bool]]:
    """The pieces of a streamed text, each with whether the text was cut off, so far as is known.

    Raises Unavailable for a stream that ends without saying why.
    """
    reason = None
    try:
        for event in stream:
            choice = _choice(event)
            if choice is None:
                continue  # Usage, or a sign of life.
            reason = ended(choice) or reason
            if piece := _text(choice, "delta"):
                yield piece, reason == "length"
    except Malformed as malformed:
        raise stream.broken(malformed.came) from None
    if reason is None and not stream.closed:
        raise stream.broken("it ended without a finish_reason")
    yield "", reason == "length"


def ended(choice: dict[str, Any]) -> str | None:
    """Why a text ended; None while it goes on. Raises Malformed for one that is lost."""
    reason = choice.get("finish_reason")
    if reason in _LOST:
        raise Malformed(f"an answer that ended with {reason!r}")
    return reason if isinstance(reason, str) and reason else None


def _choice(answer: Any) -> dict[str, Any] | None:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _text(choice: dict[str, Any], inner: str) -> str:
    """The text of a choice: of chat within a message or a delta, which may be empty."""
    holder = choice.get(inner) if inner in choice else choice
    if not isinstance(holder, dict):
        raise Malformed(f"a choice whose {inner} is no JSON object")
    text = holder.get("text" if holder is choice else "content")
    if text is None:
        if holder is choice and inner == "message":
            raise Malformed("a choice without a text")
        return ""
    if not isinstance(text, str):
        raise Malformed("a text that is no string")
    return text


def _count(usage: dict[str, Any], name: str) -> int | None:
    found = usage.get(f"{name}_tokens")
    return found if isinstance(found, int) else None
