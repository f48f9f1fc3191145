"""Pareto fronts: which ways of spending are worth their cost.

Decisions: docs/decisions/analysis.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.resampling import Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Front:
    """Ways [n] by their cost and metric: which are on the front, and in which share of resamples each is.

    `scores` are the metric of each with its interval, where it is told elsewhere, too; else of resamples.
    """

    costs: Floats
    means: Floats
    draws: Floats
    higher: bool
    on: Bools
    share: Floats
    scores: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, costs: Floats, means: Floats, draws: Floats, higher: bool = True) -> "Front":
        """The front of costs [n], the metric [n] and resamples of it [draws, n]."""
        costs, means = np.asarray(costs, float), np.asarray(means, float)
        sign = 1 if higher else -1
        shares = on_front(costs, sign * draws).mean(axis=0) if len(draws) else np.full(len(costs), np.nan)
        return cls(costs, means, draws, higher, on_front(costs, sign * means[None])[0], shares)

    def score(self, one: int) -> Interval:
        """The metric of one way."""
        return self.scores[one] if self.scores else Interval.of(self.means[one], self.draws[:, one])

    def best(self, budget: float) -> int | None:
        """The number of the way with the best metric that costs no more; None if all do."""
        able = np.flatnonzero(self.costs <= budget)
        if not len(able):
            return None
        sign = 1 if self.higher else -1
        # Of equally good ones the cheapest.
        order = np.lexsort((self.costs[able], -sign * self.means[able]))
        return int(able[order[0]])

    def against(self, one: int, other: int) -> Interval:
        """What one way gains over another: the paired difference of their metric."""
        return Interval.of(self.means[one] - self.means[other], self.draws[:, one] - self.draws[:, other])

    def rivals(self, budget: float) -> list[int]:
        """Other ways within a budget that the data do not tell from the best one, cheapest first."""
        best = self.best(budget)
        if best is None:
            return []
        able = [int(at) for at in np.flatnonzero(self.costs <= budget) if at != best]
        close = [at for at in able if self.against(best, at).is_none]
        return sorted(close, key=lambda at: self.costs[at])


def on_front(costs: Floats, values: Floats) -> Bools:
    """Which ways [n] no other way beats, of costs [n] and values [draws, n]: [draws, n].

    A way is on the front if its value is higher than that of every cheaper one, and of those that cost the
    same it is the best (the first of equals).
    """
    order = np.argsort(costs, kind="stable")
    on = np.zeros(values.shape, bool)
    for of, value in zip(on, values, strict=True):
        best, at = -np.inf, 0
        while at < len(order):
            same = order[at : at + int(np.count_nonzero(costs == costs[order[at]]))]
            top = same[int(value[same].argmax())]
            if value[top] > best:
                of[top], best = True, value[top]
            at += len(same)
    return on
