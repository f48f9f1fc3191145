"""What to keep of a store: what each filter changes, and which domains right answers came from.

Decisions: docs/decisions/mixtures.md.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields

from pipelines.evaluate.analysis.panels import Panel
from pipelines.evaluate.tables import Cell

# Axes that leave something of a store out, or put it elsewhere in a ranking.
AXES = ("domains", "where", "filter", "reranker")


@dataclass(frozen=True)
class Change:
    """Two spots of a panel that differ in one axis: with a filter, and without."""

    axis: str
    what: str
    with_it: int
    without: int


def changes(panel: Panel) -> Iterator[Change]:
    """Every pair of spots that differ in one filter alone, at the largest share that both have."""
    largest: dict[tuple[str, str, Cell], Change] = {}
    for at, spot in enumerate(panel.spots):
        for other, plain in enumerate(panel.spots):
            axes = [
                one.name
                for one in fields(Cell)
                if getattr(spot.cell, one.name) != getattr(plain.cell, one.name)
            ]
            if len(axes) == 1 and axes[0] in AXES and not getattr(plain.cell, axes[0]):
                what = str(getattr(spot.cell, axes[0]))
                key = axes[0], what, spot.line
                before = largest.get(key)
                if before is None or panel.spots[before.with_it].cell.fraction < spot.cell.fraction:
                    largest[key] = Change(axes[0], what, at, other)
    yield from largest.values()


@dataclass(frozen=True)
class Share:
    """How often a domain's passages stood before a reader, were right, and stood so before right answers."""

    domain: str
    shown: int
    right: int
    answered: int


def used(passages: Sequence[tuple[str, str, bool]], answered: Collection[str]) -> list[Share]:
    """Shares of domains, most shown first; passages are (question, domain, right), `answered` questions.

    A passage counts for an answer if it is right and the question was answered rightly.
    """
    shown = Counter(domain for _, domain, _ in passages)
    right = Counter(domain for _, domain, one in passages if one)
    of_answers = Counter(domain for question, domain, one in passages if one and question in answered)
    return [Share(name, count, right[name], of_answers[name]) for name, count in shown.most_common()]
