"""What one search of the whole store found, and what any share of each domain would have.

A passage is kept by the hash that views go by, so a mixture finds what a store that was built of its passages
would (`datastore/view.py`), as long as enough of the nearest passages are left.

Decisions: docs/decisions/mixtures.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datastore.view import View, mix
from pipelines.evaluate.metrics import RetrievalMetric
from pipelines.questions import Question
from retriever.results import Ranking

# In place of a domain's number, where there are no more hits.
_NONE = -1


@dataclass(frozen=True)
class Found:
    """The nearest passages of each question, best first, all arrays [questions, depth].

    `domain` is a number among `domains`, -1 where nothing was found; `right` says which passages are.
    """

    domains: tuple[str, ...]
    domain: NDArray[np.int16]
    keys: NDArray[np.uint64]
    right: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        domains: Sequence[str],
        metric: RetrievalMetric,
        questions: Sequence[Question],
        rankings: Sequence[Ranking],
    ) -> "Found":
        """From the rankings of some questions."""
        numbers = {name: at for at, name in enumerate(domains)}
        shape = len(rankings), max((len(one.hits) for one in rankings), default=0)
        domain, keys, right = (
            np.full(shape, _NONE, np.int16),
            np.zeros(shape, np.uint64),
            np.zeros(shape, bool),
        )
        for row, (question, ranking) in enumerate(zip(questions, rankings, strict=True)):
            count = len(ranking.hits)
            passages = [hit.passage for hit in ranking.hits]
            domain[row, :count] = [numbers[one.domain] for one in passages]
            keys[row, :count] = np.array([one.key for one in passages], np.uint64)
            right[row, :count] = [metric.right(question, one) is not None for one in passages]
        return cls(tuple(domains), domain, keys, right)

    def joined(self, other: "Found") -> "Found":
        """These questions and others."""
        depth = max(self.domain.shape[1], other.domain.shape[1])
        return Found(
            self.domains,
            np.vstack([_wide(one.domain, depth, _NONE) for one in (self, other)]),
            np.vstack([_wide(one.keys, depth, 0) for one in (self, other)]),
            np.vstack([_wide(one.right, depth, 0) for one in (self, other)]),
        )

    def hashes(self, seed: int) -> NDArray[np.uint64]:
        """What decides, for a seed, whether a passage is kept: uint64 [questions, depth]."""
        return mix(self.keys.ravel(), seed).reshape(self.keys.shape)

    def successes(
        self, rates: NDArray[np.float64], k: int, hashes: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], int]:
        """Whether one of the first k that a mixture keeps is right [questions]; of how many fewer are left.

        `rates` [domains] are the shares of their passages that it keeps.
        """
        bounds = np.array([View(rate).bound if 0 < rate < 1 else 0 for rate in rates], np.uint64)
        kept = hashes < bounds[self.domain]
        kept |= (rates >= 1)[self.domain]
        kept &= self.domain != _NONE
        among = kept & (np.cumsum(kept, axis=1) <= k)
        short = int(np.count_nonzero(kept.sum(axis=1) < k))
        return np.asarray((among & self.right).any(axis=1)), short


def _wide(array: NDArray[Any], depth: int, empty: int) -> NDArray[Any]:
    wider: NDArray[Any] = np.pad(array, ((0, 0), (0, depth - array.shape[1])), constant_values=empty)
    return wider
