"""The ways of conditioning, one class each: passages and a question to what the reader is asked.

Each packs into a budget that it is given; `fitting.py` chooses it.

Decisions: docs/decisions/reader-and-citations.md.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lm.conditioning.neighbours import widened
from lm.conditioning.packing import Block, fill
from lm.conditioning.settings import Conditioning, KindName
from lm.conditioning.sources import Count, Request, Source
from lm.conditioning.wording import write
from lm.prompts import Asked, Ensemble, prompts_of


@dataclass(frozen=True, slots=True)
class Conditioned:
    """What a reader is asked, and the passages that are in it, best first.

    `tokens` are those of the passages, in the prompt that holds most. `trimmed` says how many of the passages
    that were found are cut or not in it at all, for want of room.
    """

    asked: Asked
    blocks: tuple[Block, ...] = ()
    tokens: int = 0
    trimmed: int = 0

    @property
    def packed(self) -> tuple[str, ...]:
        """The passages as text, numbered from 1."""
        return tuple(block.written for block in self.blocks)


class Kind(Protocol):
    """A way of conditioning."""

    def __init__(self, how: Conditioning) -> None: ...

    def write(self, request: Request, sources: Sequence[Source], count: Count, budget: int) -> Conditioned:
        """What is asked, with at most `budget` tokens of passages in a prompt."""
        ...


class Alone:
    """The LM alone."""

    def __init__(self, how: Conditioning) -> None:
        self._how = how

    def write(self, request: Request, _: Sequence[Source], __: Count, ___: int) -> Conditioned:
        return Conditioned(write(self._how, request, ()))


class Prepend:
    """All passages in front of the question, the best one next to it (In-Context RALM: Ram et al. 2023)."""

    def __init__(self, how: Conditioning) -> None:
        self._how = how

    def write(self, request: Request, sources: Sequence[Source], count: Count, budget: int) -> Conditioned:
        blocks, whole = _filled(self._how, sources, count, budget)
        asked = write(self._how, request, [block.written for block in blocks])
        tokens = sum(count(block.written) for block in blocks)
        return Conditioned(asked, tuple(blocks), tokens, _held(sources) - whole)


class Replug:
    """A prompt for each passage, continued together (REPLUG: Shi et al. 2023, equation 2).

    Each prompt is what `Prepend` writes of its passage alone. They are weighed by the softmax of the
    passages' scores divided by the temperature.
    """

    def __init__(self, how: Conditioning) -> None:
        self._how = how

    def write(self, request: Request, sources: Sequence[Source], count: Count, budget: int) -> Conditioned:
        each = [Prepend(self._how).write(request, [one], count, budget) for one in sources]
        read = [(rank, one) for rank, one in enumerate(each) if one.blocks]
        trimmed = sum(one.trimmed for one in each)
        if not read:
            return replace(Alone(self._how).write(request, (), count, 0), trimmed=trimmed)
        weights = softmax([sources[rank].score for rank, _ in read], self._how.replug_temperature)
        blocks = tuple(
            replace(one.blocks[0], number=number, rank=rank) for number, (rank, one) in enumerate(read, 1)
        )
        prompts = tuple(prompt for _, one in read for prompt in prompts_of(one.asked))
        return Conditioned(Ensemble(prompts, weights), blocks, max(one.tokens for _, one in read), trimmed)


KINDS: dict[KindName, type[Kind]] = {"none": Alone, "prepend": Prepend, "replug": Replug}


def softmax(scores: Sequence[float], temperature: float) -> tuple[float, ...]:
    """e to each score over the temperature, as shares of their sum: [n], none of them 0."""
    best = max(scores)
    raised = [math.exp((score - best) / temperature) for score in scores]
    return tuple(max(one / math.fsum(raised), sys.float_info.min) for one in raised)


def _filled(
    how: Conditioning, sources: Sequence[Source], count: Count, budget: int
) -> tuple[list[Block], int]:
    """The passages of one prompt, and how many of those found are whole in it."""
    blocks = fill(sources, count, budget)
    whole = sum(block.whole for block in blocks)
    # Where one is cut there is no room for more.
    if how.neighbours and blocks and whole == len(blocks):
        blocks = widened(blocks, sources, count, budget)
    return blocks, whole


def _held(sources: Sequence[Source]) -> int:
    """How many of them hold text."""
    return sum(bool(source.text.strip()) for source in sources)
