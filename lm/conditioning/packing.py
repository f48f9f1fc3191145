"""Passages into a budget of tokens: numbered by rank, the last one cut where a sentence ends.

Knows neither the words around them nor what is asked.

Decisions: docs/decisions/reader-and-citations.md.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lm.conditioning.sources import Count, Source
from lm.sentences import sentence_end


@dataclass(frozen=True, slots=True)
class Block:
    """A passage in a prompt, under a number. `rank` is its place, from 0, among those that were found."""

    number: int
    rank: int
    title: str
    text: str
    whole: bool = True

    @property
    def written(self) -> str:
        """As it stands in a prompt."""
        title = f"{self.title}: " if self.title else ""
        return f"[{self.number}] {title}{self.text}"


def pack(sources: Sequence[Source], count: Count, budget: int) -> list[str]:
    """The leading passages that fit into `budget` tokens, numbered from 1, as they stand in a prompt."""
    return [block.written for block in fill(sources, count, budget)]


def fill(sources: Sequence[Source], count: Count, budget: int) -> list[Block]:
    """The leading passages that fit into `budget` tokens, numbered from 1.

    The first that does not fit whole is cut behind its last sentence that does, or left out if none does.
    White space alone is no passage.
    """
    blocks: list[Block] = []
    left = budget
    for rank, source in enumerate(sources):
        if not source.text.strip():
            continue
        block = Block(len(blocks) + 1, rank, source.title, source.text)
        needed = count(block.written)
        if needed > left:
            return [*blocks, *_cut(block, count, left)]
        blocks.append(block)
        left -= needed
    return blocks


def _cut(block: Block, count: Count, budget: int) -> list[Block]:
    """A passage cut to the most sentences that fit: none, or one block."""
    ends = _sentence_ends(block.text)
    cuts = [replace(block, text=block.text[:end].rstrip(), whole=False) for end in ends]
    fit = bisect_right(cuts, budget, key=lambda cut: count(cut.written))
    return cuts[fit - 1 : fit] if fit else []


def _sentence_ends(text: str) -> list[int]:
    """Where the sentences of a text end, but for a last one that has no end of its own."""
    found, at = [], 0
    while (end := sentence_end(text[at:], whole=True)) is not None:
        at += end
        found.append(at)
    return found
