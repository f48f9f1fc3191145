"""Mixtures of a datastore's domains: which to try, and which a regression expects to be best.

After RegMix (Liu et al. 2024, arXiv 2407.01492): random mixtures around the natural one, a regression from
mixture to metric, and the best of many that are only predicted. A mixture is a share of each domain's
passages, so all of them are views of one search.

Decisions: docs/decisions/mixtures.md.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.resampling import Floats, Interval

# How far mixtures stray from the natural one: concentrations of a Dirichlet, as RegMix scales them.
_STRENGTHS = (0.1, 5.0)
_PENALTIES = np.geomspace(1e-4, 1e2, 13)
_FOLDS = 5
_PREDICTED, _BEST = 20_000, 100


def drawn(sizes: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Weights of so many random mixtures of domains with so many passages [domains]: [count, domains].

    Dirichlet around the domains' own shares, from near to far.
    """
    natural = sizes / sizes.sum()
    strengths = np.exp(rng.uniform(log(_STRENGTHS[0]), log(_STRENGTHS[1]), count))
    # Gamma variables over their sum are Dirichlet, each row with a strength of its own.
    gammas = rng.gamma(np.maximum(natural * len(sizes) * strengths[:, None], 1e-3)) + 1e-12
    return np.asarray(gammas / gammas.sum(axis=1, keepdims=True))


def rates(weights: Floats, sizes: Floats, budget: float) -> Floats:
    """The share of each domain's passages that mixtures [n, domains] keep within a budget of passages.

    What a domain has not enough of goes to the others, by their weights.
    """
    kept = np.zeros_like(weights)
    for _ in sizes:
        left = budget - kept.sum(axis=1, keepdims=True)
        open_ = weights * (kept < sizes)
        asked = open_ / np.maximum(open_.sum(axis=1, keepdims=True), 1e-300)
        kept = np.minimum(kept + left * asked, sizes)
    return kept / sizes


def shares(kept: Floats, sizes: Floats) -> Floats:
    """What each domain is of a mixture's passages, by the rates [n, domains] that it keeps."""
    passages = kept * sizes
    return np.asarray(passages / passages.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Regression:
    """A ridge regression from a mixture's shares to the metric.

    `unseen` is what fits predict of mixtures that they have not seen [n], `rank` Spearman's correlation of
    that with what was measured: whether a fit can tell better mixtures from worse ones.
    """

    middle: Floats
    spread: Floats
    weights: Floats
    level: float
    unseen: Floats
    rank: Interval

    @classmethod
    def of(cls, mixtures: Floats, metric: Floats, seed: int = 0) -> "Regression":
        """Fit it to mixtures' shares [n, domains] and their metric [n]."""
        rng = np.random.default_rng(seed)
        folds = rng.permutation(len(metric)) % _FOLDS
        tried = np.stack([_unseen(mixtures, metric, folds, penalty) for penalty in _PENALTIES])
        best = int(np.square(tried - metric).mean(axis=1).argmin())
        again = rng.integers(0, len(metric), (400, len(metric)))
        rank = Interval.of(
            _spearman(tried[best], metric),
            np.array([_spearman(tried[best][one], metric[one]) for one in again]),
        )
        middle, spread, weights, level = _ridge(mixtures, metric, float(_PENALTIES[best]))
        return cls(middle, spread, weights, level, tried[best], rank)

    def predict(self, mixtures: Floats) -> Floats:
        """The metric that is expected of mixtures [n, domains]: [n]."""
        expected: Floats = self.level + (_features(mixtures) - self.middle) / self.spread @ self.weights
        return expected

    def best(self, sizes: Floats, budget: float, seed: int = 1) -> Floats:
        """Rates [domains] of the mixture that is expected to be best: the mean of the best of many."""
        candidates = rates(drawn(sizes, _PREDICTED, np.random.default_rng(seed)), sizes, budget)
        expected = self.predict(shares(candidates, sizes))
        mean = candidates[np.argsort(-expected, kind="stable")[:_BEST]].mean(axis=0)
        return np.asarray(mean)


def _features(mixtures: Floats) -> Floats:
    """Shares, and their roots: the first passages of a domain bring more than the last."""
    return np.concatenate([mixtures, np.sqrt(mixtures)], axis=1)


def _ridge(mixtures: Floats, metric: Floats, penalty: float) -> tuple[Floats, Floats, Floats, float]:
    features = _features(mixtures)
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    scaled = (features - middle) / spread
    level = float(metric.mean())
    gram = scaled.T @ scaled + penalty * len(metric) * np.eye(scaled.shape[1])
    return middle, spread, np.linalg.solve(gram, scaled.T @ (metric - level)), level


def _unseen(mixtures: Floats, metric: Floats, folds: NDArray[np.int64], penalty: float) -> Floats:
    """What fits to the other folds predict of each mixture [n]."""
    expected = np.empty(len(metric))
    for fold in range(_FOLDS):
        here = folds == fold
        middle, spread, weights, level = _ridge(mixtures[~here], metric[~here], penalty)
        expected[here] = level + (_features(mixtures[here]) - middle) / spread @ weights
    return expected


def _spearman(one: Floats, other: Floats) -> float:
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(one), rankdata(other)])
    if not ranks.std(axis=1).all():
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])
