"""A study's tables for people: seeds together, a row a fraction, a column a metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from base.amounts import amount
from pipelines.evaluate.analysis.panels import is_share, panels
from pipelines.evaluate.analysis.resampling import Interval
from pipelines.evaluate.tables import Cell, Tables

# Of fewer questions an interval means little.
_FEW = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of one task in cells that differ by their seeds alone: so many passages on average."""

    task: str
    metric: str
    unit: str
    cell: Cell
    passages: int
    score: Interval

    @property
    def heading(self) -> str:
        """Its column: a retrieval metric's has its depth."""
        return self.metric if self.cell.reader else f"{self.metric}@{self.cell.k}"

    def written(self) -> str:
        """The value with its interval: shares in per cent."""
        scale = 100 if is_share(self.unit) else 1
        value, low, high = (
            f"{scale * one:.1f}" for one in (self.score.value, self.score.low, self.score.high)
        )
        return f"{value} [{low}, {high}]" if self.score.is_known else value


@dataclass(frozen=True, slots=True)
class Block:
    """A table of one task by one way of finding and reading: rows of cells, headings above them."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(tables: Tables) -> list[Figure]:
    """Every figure, over seeds, with the interval that the report gives it."""
    return [
        Figure(
            *(panel.task, panel.metric, panel.unit, spot.cell),
            round(spot.basis.passages),
            panel.score(at),
        )
        for panel in panels(tables)
        for at, spot in enumerate(panel.spots)
    ]


def blocks(tables: Tables) -> Iterator[Block]:
    """A table for each task and way, in which fractions are rows; the LM alone is the first row."""
    ways: dict[tuple[str, Cell], list[Figure]] = {}
    every = figures(tables)
    for one in every:
        cell = one.cell
        if cell.fraction:
            k = cell.k if cell.reader else 0
            ways.setdefault((one.task, replace(cell, fraction=0.0, seed=0, k=k)), []).append(one)
    for (task, cell), some in ways.items():
        alone = [one for one in every if _is_alone_of(one, task, cell)]
        yield _block(_title(task, cell), [*alone, *some])


def _is_alone_of(one: Figure, task: str, cell: Cell) -> bool:
    mine = one.cell
    same = (mine.reader, mine.quantization, mine.adapter) == (cell.reader, cell.quantization, cell.adapter)
    return bool(cell.reader) and one.task == task and not mine.fraction and same


def _title(task: str, cell: Cell) -> str:
    parts = [cell.reader, cell.quantization, cell.adapter, cell.conditioning if cell.reader else ""]
    parts += [f"k={cell.k}"] * bool(cell.reader) + [cell.method, cell.domains, cell.where, cell.filter]
    return f"{task}: {', '.join(part for part in (*parts, cell.reranker) if part)}"


def _block(title: str, some: Sequence[Figure]) -> Block:
    headings = tuple(dict.fromkeys(one.heading for one in some))
    rows = []
    for fraction in sorted({one.cell.fraction for one in some}):
        mine = {one.heading: one for one in some if one.cell.fraction == fraction}
        passages = max(one.passages for one in mine.values())
        cells = [mine[name].written() if name in mine else "" for name in headings]
        rows.append((f"{fraction:g}" if fraction else "LM alone", f"{passages:,}", *cells))
    return Block(title, ("fraction", "passages", *headings), tuple(rows))


def few(tables: Tables) -> str | None:
    """Says which tasks have so few questions that their intervals mean little; None if none has."""
    least: dict[str, int] = {}
    for one in tables.results:
        least[one.task] = min(least.get(one.task, one.n), one.n)
    of = [f"{count} of {task}" for task, count in least.items() if count < _FEW]
    return f"few questions: {', '.join(of)}; below {_FEW} intervals look surer than they are" if of else None


def small(tables: Tables) -> str | None:
    """Says which shares of the store hold fewer passages than are looked at; None if none does."""
    held: dict[float, int] = {}
    for one in tables.results:
        if one.cell.fraction:
            least = held.get(one.cell.fraction, one.basis.passages)
            held[one.cell.fraction] = min(least, one.basis.passages)
    deepest = max((one.cell.k for one in tables.results), default=0)
    of = [
        f"{amount(count, 'passages')} at {share:g}"
        for share, count in sorted(held.items())
        if count < deepest
    ]
    return f"small shares: {', '.join(of)}, where {deepest} are looked at" if of else None
