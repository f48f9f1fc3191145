"""A prompt as text: a conversation as a tokenizer's own chat template writes it, up to the reader's turn.

Decisions: docs/decisions/tuning.md, docs/decisions/reader-and-citations.md.
"""

import json
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from base.errors import RalmError
from lm.prompts import Message, Prompt


def written(tokenizer: Any, prompt: Prompt) -> str:
    """A prompt as the model sees it; a plain text without passages stands as it is.

    What passages and turns say is data: a marker of the template's in them is written so that it is none.
    Raises RalmError for a conversation that the template does not take, and for tools that it leaves out.
    """
    if not prompt.conversation:
        return unmarked(tokenizer, prompt.text) if prompt.passages else prompt.text
    if not tokenizer.chat_template:
        raise RalmError(
            "The reader has no chat template, so it takes no conversation: choose an instruction-tuned "
            "reader, or a plain prompt (`--prompt few-shot`)."
        )
    turns = [_turn(one, unmarked(tokenizer, one.content)) for one in prompt.conversation]
    try:
        found = _applied(tokenizer, turns)
        if prompt.tools:
            plain, found = found, _applied(tokenizer, turns, [dict(tool) for tool in prompt.tools])
            if found == plain:
                raise RalmError(
                    "The reader's chat template has no place for tools: leave them out, or choose a reader "
                    "that calls tools."
                )
    except (ValueError, TemplateError) as error:
        raise RalmError(
            f"The reader's chat template does not take this conversation ({error}): choose an "
            "instruction-tuned reader, other roles, or plain text (`--prompt few-shot`)."
        ) from None
    return found + prompt.text


def unmarked(tokenizer: Any, text: str) -> str:
    """A text with a space in each of the tokenizer's special tokens, such as "< |im_start|>"."""
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    special = {str(one) for one in added if getattr(one, "special", False)}
    for token in {*special, *tokenizer.all_special_tokens}:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _applied(tokenizer: Any, turns: Sequence[dict[str, Any]], tools: list[Any] | None = None) -> str:
    more = {} if tools is None else {"tools": tools}
    found: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **more)
    return found


def _turn(turn: Message, content: str) -> dict[str, Any]:
    """A turn as templates read it: what it does not have is not there."""
    calls = [
        {
            "id": one.id,
            "type": "function",
            "function": {"name": one.name, "arguments": _arguments(one.arguments)},
        }
        for one in turn.tool_calls
    ]
    more = {"tool_calls": calls, "tool_call_id": turn.tool_call_id, "name": turn.name}
    return {"role": turn.role, "content": content} | {key: one for key, one in more.items() if one}


def _arguments(text: str) -> Any:
    """The arguments of a call as a mapping, which templates write in their own way; a text that is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def ending(tokenizer: Any) -> str:
    """What a chat template puts behind a reader's turn, and a reader ends its answers with."""
    said = "\N{PILCROW SIGN}"
    turns = [{"role": "user", "content": "."}, {"role": "assistant", "content": said}]
    try:
        behind = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition(said)[2].strip()
    except (ValueError, TemplateError):
        behind = ""
    # Some templates put nothing there.
    return behind or str(tokenizer.eos_token)
