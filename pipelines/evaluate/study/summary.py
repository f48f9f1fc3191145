"""A study's tables for people: seeds together, a row a fraction, a column a metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.evaluate.intervals import Score, mean
from pipelines.evaluate.tables import Cell, Result, Tables, Values

# Of fewer questions an interval means little.
_FEW = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of one task in cells that differ by their seeds alone: so many passages on average."""

    first: Result
    passages: int
    score: Score

    @property
    def heading(self) -> str:
        """Its column: a retrieval metric's has its depth."""
        return f"{self.first.metric}@{self.first.cell.k}" if not self.first.cell.reader else self.first.metric

    def written(self) -> str:
        """The value with its interval: shares in per cent."""
        scale = 100 if self.first.unit == "share" else 1
        value, low, high = (
            f"{scale * one:.1f}" for one in (self.score.value, self.score.low, self.score.high)
        )
        return f"{value} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Block:
    """A table of one task by one way of finding and reading: rows of cells, headings above them."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(tables: Tables) -> list[Figure]:
    """Every figure, over seeds: a question's value is its mean over them."""
    values = {one.key: one for one in tables.questions}
    together: dict[tuple[str, str, Cell], list[Result]] = {}
    for one in tables.results:
        together.setdefault((one.task, one.metric, replace(one.cell, seed=0)), []).append(one)
    return [_figure(some, [values[one.key] for one in some]) for some in together.values()]


def _figure(some: Sequence[Result], values: Sequence[Values]) -> Figure:
    score = mean(np.mean([one.values for one in values], axis=0), values[0].clusters)
    passages = round(float(np.mean([one.basis.passages for one in some])))
    return Figure(some[0], passages, score)


def blocks(tables: Tables) -> Iterator[Block]:
    """A table for each task and way, in which fractions are rows; the LM alone is the first row."""
    ways: dict[tuple[str, Cell], list[Figure]] = {}
    for one in figures(tables):
        cell = one.first.cell
        if cell.fraction:
            k = cell.k if cell.reader else 0
            ways.setdefault((one.first.task, replace(cell, fraction=0.0, seed=0, k=k)), []).append(one)
    for (task, cell), some in ways.items():
        alone = [one for one in figures(tables) if _is_alone_of(one, task, cell)]
        yield _block(_title(task, cell), [*alone, *some])


def _is_alone_of(one: Figure, task: str, cell: Cell) -> bool:
    mine = one.first.cell
    same = (mine.reader, mine.quantization, mine.adapter) == (cell.reader, cell.quantization, cell.adapter)
    return bool(cell.reader) and one.first.task == task and not mine.fraction and same


def _title(task: str, cell: Cell) -> str:
    parts = [cell.reader, cell.quantization, cell.adapter, cell.conditioning if cell.reader else ""]
    parts += [f"k={cell.k}"] * bool(cell.reader) + [cell.method, cell.domains, cell.where, cell.filter]
    return f"{task}: {', '.join(part for part in (*parts, cell.reranker) if part)}"


def _block(title: str, some: Sequence[Figure]) -> Block:
    headings = tuple(dict.fromkeys(one.heading for one in some))
    rows = []
    for fraction in sorted({one.first.cell.fraction for one in some}):
        mine = {one.heading: one for one in some if one.first.cell.fraction == fraction}
        passages = max(one.passages for one in mine.values())
        cells = [mine[name].written() if name in mine else "" for name in headings]
        rows.append((f"{fraction:g}" if fraction else "LM alone", f"{passages:,}", *cells))
    return Block(title, ("fraction", "passages", *headings), tuple(rows))


def few(tables: Tables) -> str | None:
    """Says which tasks have so few questions that their intervals mean little; None if none has."""
    of = dict.fromkeys(f"{one.metric} of {one.task}" for one in tables.results if one.n < _FEW)
    if not of:
        return None
    return f"few questions: n below {_FEW} for {', '.join(of)}, whose intervals look surer than they are"
