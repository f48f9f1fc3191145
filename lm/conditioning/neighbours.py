"""Passages widened by the chunks around them, as far as the budget goes.

A passage is never lost to a neighbour: all that fit are in first, the neighbours take what is left.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from lm.conditioning.packing import Block
from lm.conditioning.sources import Chunk, Count, Source

# A document, and the number of a chunk of it.
_Place = tuple[tuple[str, ...], int]


def widened(blocks: Sequence[Block], sources: Sequence[Source], count: Count, budget: int) -> list[Block]:
    """Blocks of whole passages, each with the chunks around it that fit: nearest first, best passage first.

    Chunks that follow each other in a document become one block, under the number of the best passage among
    them: nothing is read twice.
    """
    pool = _Pool([(block, sources[block.rank]) for block in blocks])
    chosen = {place for place, _ in pool.places}
    if not _fits(pool.blocks(chosen), count, budget):
        return list(blocks)
    for place, inward in pool.outward():
        if place in chosen or place not in pool.chunks or inward not in chosen:
            continue
        if _fits(pool.blocks(chosen | {place}), count, budget):
            chosen.add(place)
    return pool.blocks(chosen)


def _fits(blocks: Sequence[Block], count: Count, budget: int) -> bool:
    return sum(count(block.written) for block in blocks) <= budget


class _Pool:
    """Passages and the chunks around them, by their places in documents."""

    def __init__(self, passages: Sequence[tuple[Block, Source]]) -> None:
        self.chunks: dict[_Place, Chunk] = {}
        # Of each passage, best first.
        self.places: list[tuple[_Place, Block]] = []
        for block, source in passages:
            document = source.document or (str(block.rank),)
            self.places.append(((document, source.chunk), block))
            for one in source.around or (Chunk(source.chunk, 0, source.text),):
                self.chunks[document, one.number] = one

    def outward(self) -> Iterator[tuple[_Place, _Place]]:
        """Places around the passages, nearest first, and the next one inward of each."""
        for distance in range(1, len(self.chunks)):
            for (document, number), _ in self.places:
                for side in (-1, 1):
                    at = number + side * distance
                    yield (document, at), (document, at - side)

    def blocks(self, chosen: set[_Place]) -> list[Block]:
        """Each stretch of chosen chunks as a block, in the order of the best passage in it."""
        found: list[Block] = []
        covered: set[_Place] = set()
        for place, block in self.places:
            if place not in covered:
                stretch = _stretch(place, chosen)
                covered.update(stretch)
                text = _joined([self.chunks[one] for one in stretch])
                found.append(Block(len(found) + 1, block.rank, block.title, text))
        return found


def _stretch(place: _Place, chosen: set[_Place]) -> list[_Place]:
    """The chosen places that follow each other through this one, in order."""
    document, first = place
    last = first
    while (document, first - 1) in chosen:
        first -= 1
    while (document, last + 1) in chosen:
        last += 1
    return [(document, number) for number in range(first, last + 1)]


def _joined(chunks: Sequence[Chunk]) -> str:
    """Chunks that follow each other as one text; what two of them share is in it once."""
    text = chunks[0].text
    for before, after in pairwise(chunks):
        gap = after.start - (before.start + len(before.text))
        # What lay between them was white space.
        text += " " + after.text if gap > 0 else after.text[-gap:]
    return text
