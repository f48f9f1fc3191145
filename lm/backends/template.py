"""A prompt as text: a conversation as a tokenizer's own chat template writes it, up to the reader's turn.

Decisions: docs/decisions/tuning.md.
"""

from typing import Any

from jinja2 import TemplateError

from base.errors import RalmError
from lm.prompts import Prompt


def written(tokenizer: Any, prompt: Prompt) -> str:
    """A prompt as the model sees it; a plain text stands as it is.

    Raises RalmError for a conversation that the template does not take.
    """
    if not prompt.conversation:
        return prompt.text
    if not tokenizer.chat_template:
        raise RalmError(
            "The reader has no chat template, so it takes no conversation: choose an instruction-tuned "
            "reader, or a plain prompt (`--prompt few-shot`)."
        )
    turns = [{"role": turn.role, "content": turn.content} for turn in prompt.conversation]
    try:
        found: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except (ValueError, TemplateError) as error:
        raise RalmError(
            f"The reader's chat template does not take this conversation ({error}): choose an "
            "instruction-tuned reader, other roles, or plain text (`--prompt few-shot`)."
        ) from None
    return found + prompt.text


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
