"""Rows of tokens to batches: what rows share is computed once, and rows of like length go together.

A causal model's numbers at a token depend on the tokens before it alone. So a row whose tokens begin another
row is read off that one, rows with one context share its keys and values, and padding behind a row changes
nothing. Knows tokens; knows no model.

Decisions: docs/decisions/scoring.md.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lm.reader import Row

# Fewer shared tokens are computed again: that is quicker than a pass of their own.
_LEAST = 32
# A row joins a batch whose longest it has at least this share of.
_LIKE = 0.9
# Of rows shorter than this, padding costs less than another pass.
_SHORT = 32


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens that a model is to read, and the rows that are read off it.

    `first` is the first position whose next token is asked for.
    """

    ids: tuple[int, ...]
    first: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Stretches whose first `shared` tokens are the same; none is asked for before the last of these."""

    stretches: tuple[Stretch, ...]
    shared: int

    @property
    def width(self) -> int:
        """Tokens of the longest."""
        return max(len(one.ids) for one in self.stretches)


def stretches(rows: Sequence[Row], merged: bool = True) -> list[Stretch]:
    """What a model must read for these rows, in the order of their tokens.

    Unless `merged`, each row is read by itself. Rows without text need none.
    """
    found: list[Stretch] = []
    inputs = {at: (*row.context, *row.text[:-1]) for at, row in enumerate(rows) if row.text}
    # Backwards, so that a row comes right behind those that it begins.
    for at in sorted(inputs, key=inputs.__getitem__, reverse=True):
        ids, first = inputs[at], len(rows[at].context) - 1
        last = found[-1] if found and merged else None
        if last and last.ids[: len(ids)] == ids:
            found[-1] = Stretch(last.ids, min(last.first, first), (*last.rows, at))
        else:
            found.append(Stretch(ids, first, (at,)))
    return found[::-1]


def stem(some: Sequence[Stretch]) -> int:
    """How many tokens all of them begin with, if it pays to compute these by themselves; else 0."""
    if len(some) < 2:
        return 0
    # In the order of their tokens the first and the last are the least alike.
    alike = min(common(some[0].ids, some[-1].ids), min(one.first for one in some))
    return alike if alike >= _LEAST else 0


def families(some: Sequence[Stretch], beyond: int, most: int) -> list[Family]:
    """Neighbours that share half of their tokens `beyond` the stem or more; at most `most` tokens each."""
    found: list[Family] = []
    for one in some:
        joined = _joined(found[-1], one, beyond) if found else None
        if joined and len(joined.stretches) * joined.width <= most:
            found[-1] = joined
        else:
            found.append(Family((one,), beyond))
    return found


def _joined(family: Family, one: Stretch, beyond: int) -> Family | None:
    """A family with one more, or None if too little would be shared."""
    shared = min(common(family.stretches[0].ids, one.ids), one.first, family.stretches[0].first)
    if len(family.stretches) > 1:
        shared = min(shared, family.shared)
    widest = max(family.width, len(one.ids)) - beyond
    if shared - beyond < max(_LEAST, widest / 2):
        return None
    return Family((*family.stretches, one), shared)


def batches(some: Sequence[Family], beyond: int, most: int) -> Iterator[list[Family]]:
    """Families of like shape together, longest first, at most `most` tokens a batch with their padding.

    All share the `beyond` tokens of the stem. A single family may have more.
    """
    batch: list[Family] = []
    rows = 0
    for one in sorted(some, key=lambda family: (family.shared, family.width), reverse=True):
        width = max([family.width for family in batch] + [one.width])
        fits = (rows + len(one.stretches)) * width <= most
        if batch and not (fits and _like(batch[0], one, beyond)):
            yield batch
            batch, rows = [], 0
        batch.append(one)
        rows += len(one.stretches)
    if batch:
        yield batch


def _like(first: Family, other: Family, beyond: int) -> bool:
    """Whether neither much padding nor many of the shared tokens again come of putting them together."""
    near = other.shared - beyond >= _LIKE * (first.shared - beyond)
    narrow, wide = sorted((first.width, other.width))
    return near and (narrow >= _LIKE * wide or wide - other.shared <= _SHORT)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two lists begin with alike."""
    # Slices are compared far faster than items.
    ends = range(1, min(len(first), len(second)) + 1)
    return bisect_left(ends, True, key=lambda end: first[:end] != second[:end])
