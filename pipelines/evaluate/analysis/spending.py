"""Where bytes go: into the reader's weights, or into passages that can be searched.

A passage costs what holds it while it is searched: its codes in memory and its stored vector. Its text is
read from disk, a few passages a question, and is counted apart.

Decisions: docs/decisions/analysis.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.fronts import Front
from pipelines.evaluate.analysis.laws import Law
from pipelines.evaluate.analysis.resampling import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """One way to spend bytes: a reader of so many parameters, as it is stored, and so many passages."""

    name: str
    reader_bytes: float
    passage_bytes: float
    parameters: float

    @property
    def bytes(self) -> float:
        """All that it takes."""
        return self.reader_bytes + self.passage_bytes

    @property
    def bits(self) -> float:
        """Bits a parameter, measured: whatever is not quantized is in it."""
        return 8 * self.reader_bytes / self.parameters if self.parameters else float("nan")

    @property
    def weights_share(self) -> float:
        """The share of its bytes that are weights."""
        return self.reader_bytes / self.bytes if self.bytes else float("nan")


@dataclass(frozen=True)
class Advice:
    """At so many bytes the best way, its gain over the best without passages, and who may be as good."""

    budget: float
    best: Way
    value: Interval
    gain: Interval | None
    rivals: tuple[Way, ...]


def front_of(ways: Sequence[Way], means: Floats, draws: Floats, higher: bool = True) -> Front:
    """The front of ways by their bytes."""
    return Front.of(np.array([way.bytes for way in ways]), means, draws, higher)


def budgets(front: Front) -> list[float]:
    """Round budgets, 1, 2 or 5 times a power of ten, from what buys something to what buys all."""
    least, most = float(front.costs.min()), float(front.costs.max())
    powers = range(int(np.floor(np.log10(least))), int(np.ceil(np.log10(most))) + 1)
    rounds = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    enough = next(one for one in rounds if one >= most)
    return [one for one in rounds if least <= one <= enough]


def advice(ways: Sequence[Way], front: Front) -> list[Advice]:
    """What to do with each round budget that has another best way than the one before."""
    found: list[Advice] = []
    for budget in budgets(front):
        at = front.best(budget)
        if at is None or (found and found[-1].best == ways[at]):
            continue
        gain = _over_alone(ways, front, at, budget)
        value = front.score(at)
        rivals = tuple(ways[one] for one in front.rivals(budget))
        found.append(Advice(budget, ways[at], value, gain, rivals))
    return found


def _over_alone(ways: Sequence[Way], front: Front, at: int, budget: float) -> Interval | None:
    """What a way gains over the best one without passages within a budget; None if it has none either."""
    sign = 1 if front.higher else -1
    able = [one for one, way in enumerate(ways) if not way.passage_bytes and front.costs[one] <= budget]
    if not able or at in able:
        return None
    return front.against(at, max(able, key=lambda one: sign * float(front.means[one])))


@dataclass(frozen=True)
class Split:
    """The share of a budget that a law spends on weights, and the metric it expects."""

    budget: float
    weights_share: Interval
    value: Interval
    decades_beyond: float


def best_split(law: Law, budget: float, bytes_a_token: float, higher: bool = True) -> Split:
    """The best share for weights by a law of (reader bytes, datastore tokens), where sizes may be any.

    Shares from 1 to 99% are tried; each resample has a best one of its own.
    """
    shares = np.linspace(0.01, 0.99, 99)
    sizes = np.stack([shares * budget, (1 - shares) * budget / bytes_a_token], axis=1)
    values = law.at(sizes) * (1 if higher else -1)
    best = values.argmax(axis=1)
    reached = law.at(sizes)[np.arange(len(best)), best]
    chosen = shares[best]
    return Split(
        budget,
        Interval.of(chosen[0], chosen[1:]),
        Interval.of(reached[0], reached[1:]),
        law.predict(*sizes[best[0]]).decades_beyond,
    )
