"""A study's tables by task and metric: what each point was, and resamples of all of them at once.

Decisions: docs/decisions/analysis.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import log

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.resampling import Floats, Interval, Measured, Whole
from pipelines.evaluate.intervals import difference, share
from pipelines.evaluate.tables import Basis, Cell, Kind, Result, Tables, Values

Bools = NDArray[np.bool_]
BITS_PER_BYTE = "bits per byte"
# Of texts there are sums, of which a figure is made.
_SUMS = ("nats", "tokens", "bytes")


def is_share(unit: str) -> bool:
    """Whether a metric of this unit lies between 0 and 1 and is shown in per cent."""
    return unit == "share" or "%" in unit


@dataclass(frozen=True, slots=True)
class Spot:
    """A point of a panel: a cell without its seed, and what it rests on, as a mean over so many seeds."""

    cell: Cell
    basis: Basis
    seeds: int

    @property
    def alone(self) -> bool:
        """Whether it is the LM alone."""
        return self.cell.fraction == 0

    @property
    def line(self) -> Cell:
        """What it has in common with other shares of the store."""
        return replace(self.cell, fraction=1.0)


@dataclass(frozen=True)
class Panel:
    """One metric of one task at all its spots, for the questions that all of them share, by their `names`.

    `held`: whether the passages of a spot (of its first seed) held a question's answer, if somebody knows.
    """

    task: str
    kind: Kind
    metric: str
    unit: str
    better: str
    spots: tuple[Spot, ...]
    names: tuple[str, ...]
    measured: Measured
    held: tuple[Bools | None, ...]

    @property
    def higher(self) -> bool:
        """Whether the metric is better the higher it is."""
        return self.better != "lower"

    @property
    def questions(self) -> int:
        """How many questions (or texts) there are."""
        return len(self.measured.clusters)

    @cached_property
    def means(self) -> Floats:
        """The metric at each spot [spots]."""
        return self.measured.means()

    @cached_property
    def draws(self) -> Floats:
        """The metric at each spot in resamples [draws, spots]: a share from 0 to 1, no metric below 0."""
        return np.clip(self.measured.resampled(), 0, 1 if is_share(self.unit) else None)

    def score(self, at: int) -> Interval:
        """The metric at a spot. A share of one sample has Wilson's interval, which holds at 0 and 1, too."""
        of_questions = self.measured.values[at].mean(axis=0)
        if np.isin(of_questions, (0.0, 1.0)).all() and np.ptp(self.measured.weights) == 0:
            one = share(of_questions, self.measured.clusters)
            return Interval(one.value, one.low, one.high)
        return Interval.of(self.means[at], self.draws[:, at])

    def gain(self, one: int, other: int) -> Interval:
        """The metric at one spot less that at another, paired."""
        changes = self.measured.values[one].mean(axis=0) - self.measured.values[other].mean(axis=0)
        if abs(changes[0]) == 1 and np.ptp(changes) == 0:
            # Resampled they would leave no doubt.
            of = difference(changes, np.zeros_like(changes), self.measured.clusters)
            return Interval(of.value, of.low, of.high)
        return Interval.of(self.means[one] - self.means[other], self.draws[:, one] - self.draws[:, other])

    @cached_property
    def lines(self) -> dict[Cell, list[int]]:
        """The spots of each line with passages, by growing share of the store."""
        found: dict[Cell, list[int]] = {}
        for at, spot in enumerate(self.spots):
            if not spot.alone:
                found.setdefault(spot.line, []).append(at)
        return {line: sorted(of, key=lambda at: self.spots[at].basis.tokens) for line, of in found.items()}

    def alone(self, line: Cell) -> int | None:
        """The spot of the LM alone that a line's reader has; None if there is none."""
        same = ("reader", "quantization", "adapter")
        for at, spot in enumerate(self.spots):
            if spot.alone and all(getattr(spot.cell, name) == getattr(line, name) for name in same):
                return at
        return None

    def sizes(self, spots: Sequence[int]) -> Floats:
        """The tokens of the datastore at these spots."""
        return np.array([self.spots[at].basis.tokens for at in spots], float)


def panels(tables: Tables) -> list[Panel]:
    """A panel for each task and metric, in the order of the tables."""
    results = {one.key: one for one in tables.results}
    of_each: dict[tuple[str, str], list[tuple[Result, Values, Floats]]] = {}
    for result, values, weights in _with_weights(tables.questions, results):
        of_each.setdefault((result.task, result.metric), []).append((result, values, weights))
    return [_panel(rows) for rows in of_each.values()]


def _with_weights(
    questions: Iterable[Values], results: Mapping[tuple[str, str, str], Result]
) -> Iterable[tuple[Result, Values, Floats]]:
    """Each result with its values and their weights; sums of texts become bits per byte."""
    sums: dict[tuple[str, str], dict[str, Values]] = {}
    for values in questions:
        if values.metric in _SUMS:
            sums.setdefault((values.task, values.cell), {})[values.metric] = values
        elif values.key in results:
            yield results[values.key], values, values.weighted
    of_cells = {(one.task, one.cell.id): one for one in results.values()}
    for key, of in sums.items():
        if key in of_cells and {"nats", "bytes"} <= of.keys():
            size = of["bytes"].values
            bits = replace(of["nats"], metric=BITS_PER_BYTE, values=of["nats"].values / log(2) / size)
            result = replace(of_cells[key], metric=BITS_PER_BYTE, unit=BITS_PER_BYTE, better="lower")
            yield result, bits, size


def _panel(rows: Sequence[tuple[Result, Values, Floats]]) -> Panel:
    shared = sorted(set.intersection(*[set(values.questions) for _, values, _ in rows]))
    of_spot: dict[Cell, list[_Row]] = {}
    for result, values, weights in rows:
        of_spot.setdefault(replace(result.cell, seed=0), []).append(_Row.of(result, values, weights, shared))
    spots = [
        sorted(of, key=lambda row: row.result.cell.seed) for _, of in sorted(of_spot.items(), key=_by_size)
    ]
    first = spots[0][0]
    return Panel(
        *(first.result.task, first.result.kind, first.result.metric, first.result.unit, first.result.better),
        tuple(
            Spot(replace(of[0].result.cell, seed=0), _mean([one.result.basis for one in of]), len(of))
            for of in spots
        ),
        tuple(shared),
        Measured.of([np.stack([one.values for one in of]) for of in spots], first.clusters, first.weights),
        tuple(of[0].held for of in spots),
    )


@dataclass(frozen=True)
class _Row:
    """A result with what it is of each question that all have."""

    result: Result
    values: Floats
    clusters: Whole
    weights: Floats
    held: Bools | None

    @classmethod
    def of(cls, result: Result, values: Values, weights: Floats, shared: Sequence[str]) -> "_Row":
        place = {name: at for at, name in enumerate(values.questions)}
        order = [place[name] for name in shared]
        held = None if values.held is None else values.held[order]
        return cls(result, values.values[order], values.clusters[order], weights[order], held)


def _by_size(one: tuple[Cell, list[_Row]]) -> tuple[float | str | int, ...]:
    """Smaller readers first, of one reader fewer bits, then as cells are named."""
    cell, basis = one[0], one[1][0].result.basis
    sizes = basis.reader_parameters or 0, cell.reader, basis.reader_bytes or 0, cell.quantization
    how = cell.conditioning, cell.method, cell.domains, cell.where, cell.filter, cell.reranker
    return (*sizes, cell.adapter, *how, cell.k, cell.fraction)


def _mean(bases: Sequence[Basis]) -> Basis:
    """What several samples rest on: numbers as means, names as those of the first."""
    first = bases[0]
    means = {}
    for one in fields(Basis):
        values = [getattr(basis, one.name) for basis in bases]
        if all(isinstance(value, int | float) for value in values):
            mean = sum(values) / len(values)
            means[one.name] = round(mean) if isinstance(values[0], int) else mean
    return replace(first, **means)
