"""Where operations go: into training a reader, embedding a datastore, and answering.

Training takes 6 N D operations of a reader with N parameters on D tokens, a forward pass 2 N a token (Kaplan
et al. 2020, arXiv 2001.08361, 2.1). Searching is not counted: codes are compared by look-up.

Decisions: docs/decisions/analysis.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.fronts import Front
from pipelines.evaluate.analysis.resampling import Interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Work:
    """A way of answering: a reader and its training, a datastore, and tokens read and written a question.

    `tokens` is the datastore's, 0 for the reader alone. `encoded` are the query's tokens.
    """

    name: str
    parameters: float
    trained_tokens: float
    encoder_parameters: float
    tokens: float
    read: float
    encoded: float = 32

    @property
    def training(self) -> float:
        """Operations to train the reader: 6 N D."""
        return 6 * self.parameters * self.trained_tokens

    @property
    def datastore(self) -> float:
        """Operations to embed the datastore: 2 N_encoder a token."""
        return 2 * self.encoder_parameters * self.tokens

    @property
    def question(self) -> float:
        """Operations of one question: 2 N a token read or written, and its encoding if it is searched for."""
        encoding = 2 * self.encoder_parameters * self.encoded if self.tokens else 0.0
        return 2 * self.parameters * self.read + encoding

    def total(self, questions: float) -> float:
        """All operations until so many questions are answered."""
        return self.training + self.datastore + questions * self.question


@dataclass(frozen=True)
class Fronts:
    """The fronts with and without retrieval once so many questions are answered."""

    questions: float
    every: Front
    alone: Front
    # The numbers of `alone`'s ways among all.
    alone_at: tuple[int, ...]

    def best_alone(self) -> int:
        """The reader alone with the best metric, among all ways; of equals the cheapest."""
        sign, of = 1 if self.every.higher else -1, self.every
        return max(self.alone_at, key=lambda at: (sign * float(of.means[at]), -float(of.costs[at])))

    def match(self) -> tuple[int, float] | None:
        """The cheapest way with passages as good as the best reader alone, and its part of that cost."""
        sign, of, best = 1 if self.every.higher else -1, self.every, self.best_alone()
        able = [
            at
            for at in range(len(of.costs))
            if at not in self.alone_at and sign * of.means[at] >= sign * of.means[best]
        ]
        if not able:
            return None
        found = min(able, key=lambda at: (float(of.costs[at]), -sign * float(of.means[at])))
        return found, float(of.costs[found] / of.costs[best])

    def gain(self, budget: float) -> Interval | None:
        """The best of all less the best alone within a budget of operations; None if it affords neither."""
        every, alone = self.every.best(budget), self.alone.best(budget)
        if every is None or alone is None:
            return None
        return self.every.against(every, self.alone_at[alone])


def fronts(
    ways: Sequence[Work], scores: tuple[Floats, Floats], questions: float, higher: bool = True
) -> Fronts:
    """Fronts of ways by their operations; `scores` are the metric [n] and resamples of it [draws, n]."""
    means, draws = scores
    costs = np.array([_rounded(way.total(questions)) for way in ways])
    alone = [at for at, way in enumerate(ways) if not way.tokens]
    return Fronts(
        questions,
        Front.of(costs, means, draws, higher),
        Front.of(costs[alone], means[alone], draws[:, alone], higher),
        tuple(alone),
    )


def _rounded(operations: float) -> float:
    """Two digits: what differs by less is the same, as no such sum is known better."""
    return float(f"{operations:.1e}")


def repaid(with_passages: Work, larger: Work) -> float | None:
    """From how many questions on a reader with passages takes more than a larger one alone; None: never.

    Passages cost at each question, training once.
    """
    once = larger.total(0) - with_passages.total(0)
    each = with_passages.question - larger.question
    if each <= 0:
        return None if once >= 0 else 0.0
    return max(0.0, once / each)
