"""What a continued text looks like to OpenAI's clients: why it ended, its tokens, what it took."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from lm.prompts import ToolCall
from lm.reader import Completion, Position, TokenLogprob


def called(calls: Sequence[ToolCall]) -> dict[str, Any]:
    """What tools are to do, as a message or a delta says it; nothing, if that is nothing."""
    each = [
        {
            "index": at,
            "id": one.id or f"call_{uuid.uuid4().hex[:24]}",
            "type": "function",
            "function": {"name": one.name, "arguments": one.arguments},
        }
        for at, one in enumerate(calls)
    ]
    return {"tool_calls": each} if each else {}


def finish_reason(finished: bool) -> str:
    """Why a text ended: by itself, or at the most tokens that it may have."""
    return "stop" if finished else "length"


def usage_of(completions: Sequence[Completion]) -> dict[str, int]:
    """The tokens of continuations of one prompt, which counts once."""
    read = max((one.prompt_tokens for one in completions), default=0)
    return usage(read, sum(one.tokens for one in completions))


def usage(read: int, written: int) -> dict[str, int]:
    """The tokens that were read and written."""
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def chat_logprobs(positions: Iterable[Position]) -> dict[str, Any]:
    """How likely tokens were, as chat says it."""
    content = [
        _token(one.token) | {"top_logprobs": [_token(other) for other in one.top]} for one in positions
    ]
    return {"content": content, "refusal": None}


def _token(one: TokenLogprob) -> dict[str, Any]:
    return {"token": one.text, "bytes": list(one.data), "logprob": one.logprob}


def completion_logprobs(positions: Sequence[Position], start: int = 0) -> dict[str, Any]:
    """How likely tokens were, as completions say it; the first of them begins at a character of the text.

    A token's likeliest are told by how they are written, itself among them.
    """
    offsets, at = [], start
    for one in positions:
        offsets.append(at)
        at += len(one.token.text)
    return {
        "tokens": [_written(one.token) for one in positions],
        "token_logprobs": [one.token.logprob for one in positions],
        "top_logprobs": [_likeliest(one) for one in positions],
        "text_offset": offsets,
    }


def _likeliest(one: Position) -> dict[str, float] | None:
    """None for a text's first token, which nothing stands before."""
    if one.token.logprob is None:
        return None
    return {_written(other): other.logprob for other in (*one.top, one.token) if other.logprob is not None}


def _written(one: TokenLogprob) -> str:
    """A token as it is written; by its bytes, if these are no text by themselves."""
    try:
        return one.data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in one.data)
