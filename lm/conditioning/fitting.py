"""Into what the reader holds: passages give way, the question never does.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from base.errors import RalmError
from lm.conditioning.kinds import KINDS, Conditioned
from lm.conditioning.settings import Conditioning
from lm.conditioning.sources import Request, Source
from lm.conditioning.wording import write
from lm.prompts import Asked, Prompt, prompts_of


class Holder(Protocol):
    """What is to be known of a reader: how much it holds, and how much a text is to it."""

    @property
    def name(self) -> str: ...
    @property
    def context_tokens(self) -> int: ...
    def count_tokens(self, text: str) -> int: ...
    def prompt_tokens(self, prompt: Prompt) -> int: ...


def condition(how: Conditioning, request: Request, sources: Sequence[Source], reader: Holder) -> Conditioned:
    """What to ask a reader, in at most the tokens that it holds, the answer's among them.

    What a prompt is too long by is taken from its budget of passages. Raises RalmError if it is too long
    without any.
    """
    require_room(how, request, reader)
    room = reader.context_tokens - request.answer_tokens
    kind, count = KINDS[how.kind](how), cache(reader.count_tokens)
    budget = min(how.budget, room)  # Nothing is packed that cannot fit.
    while True:
        found = kind.write(request, sources[: how.passages], count, budget)
        over = _longest(found.asked, reader) - room
        if over <= 0 or not found.blocks:
            return found
        budget = found.tokens - over


def require_room(how: Conditioning, request: Request, reader: Holder) -> None:
    """Raise RalmError for a question that is too long without any passage, with its answer."""
    taken = _longest(write(how, request, ()), reader)
    if taken + request.answer_tokens > reader.context_tokens:
        raise RalmError(
            f"Without any passage the prompt takes {taken:,} tokens and its answer may take "
            f"{request.answer_tokens:,}, but {reader.name} holds {reader.context_tokens:,}: shorten the "
            "prompt or lower max_tokens."
        )


def _longest(asked: Asked, reader: Holder) -> int:
    return max(map(reader.prompt_tokens, prompts_of(asked)))
