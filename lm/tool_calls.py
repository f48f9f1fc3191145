"""The calls of tools in what a reader writes: JSON between <tool_call> and </tool_call>.

So Hermes's, Qwen's and SmolLM3's templates tell them to. What other templates ask for stays text.
"""

import json
import re
from collections.abc import Iterable, Iterator

from lm.prompts import ToolCall

_OPEN = "<tool_call>"
_CALL = re.compile(rf"{_OPEN}\s*(\{{.*?\}})\s*(?:</tool_call>|$)", re.DOTALL)


def calls_in(text: str) -> tuple[str, tuple[ToolCall, ...]]:
    """A text without its calls, and these; all of it where what looks like one is none."""
    found = [_call(one[1]) for one in _CALL.finditer(text)]
    calls = tuple(one for one in found if one is not None)
    if not calls or len(calls) < len(found):
        return text, ()
    return _CALL.sub("", text).strip(), calls


class ToolCalls:
    """The calls in a text that comes in pieces, once all have come."""

    def __init__(self) -> None:
        self.calls: tuple[ToolCall, ...] = ()

    def without(self, pieces: Iterable[str]) -> Iterator[str]:
        """The pieces up to the first call. What may begin one waits for what follows."""
        held, begun = "", False
        for piece in pieces:
            held += piece
            if begun:
                continue
            at = held.find(_OPEN)
            begun, ready = at >= 0, at if at >= 0 else len(held) - _begins(held)
            if passed := held[:ready]:
                yield passed
            held = held[ready:]
        rest, self.calls = calls_in(held)
        if rest:
            yield rest


def _begins(text: str) -> int:
    """How many of a text's last characters may begin a call."""
    return next((size for size in range(len(_OPEN) - 1, 0, -1) if text.endswith(_OPEN[:size])), 0)


def _call(text: str) -> ToolCall | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return None
    arguments = found.get("arguments", found.get("parameters", {}))
    return ToolCall("", found["name"], arguments if isinstance(arguments, str) else json.dumps(arguments))
