"""Means of questions over samples, and what they would have been of other questions and other samples.

Knows values of questions; knows no law, no axis and no file.

Decisions: docs/decisions/analysis.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
DRAWS = 400
# Bounds of a 95% interval, in per cent.
_BOUNDS = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval: NaN where nothing can be said."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: Floats) -> "Interval":
        """A figure and the 2.5 and 97.5 percentiles of what resamples gave for it [draws]; NaN of none."""
        low, high = np.percentile(draws, _BOUNDS) if len(draws) else (np.nan, np.nan)
        return cls(float(value), float(low), float(high))

    @property
    def is_known(self) -> bool:
        """Whether there is an interval."""
        return not np.isnan(self.low)

    @property
    def is_none(self) -> bool:
        """Whether a difference is one that the data do not show: its interval holds 0, or there is none."""
        return not (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Measured:
    """One metric of the same questions, at several points.

    `values` has a matrix [seeds, questions] a point, whose seeds may be fewer at one point than at others
    (the whole store has one); `clusters` [questions] numbers what depends on each other from 0, `weights`
    [questions] are what a mean is weighted by: bytes or tokens of texts, 1 of questions.
    """

    values: tuple[Floats, ...]
    clusters: Whole
    weights: Floats

    @classmethod
    def of(
        cls, values: Sequence[Floats], clusters: Whole | None = None, weights: Floats | None = None
    ) -> "Measured":
        """Without clusters or weights each question stands for itself, and weighs 1."""
        count = np.shape(values[0])[1]
        return cls(
            tuple(np.asarray(of, float) for of in values),
            np.arange(count) if clusters is None else np.unique(clusters, return_inverse=True)[1],
            np.ones(count) if weights is None else np.asarray(weights, float),
        )

    def means(self) -> Floats:
        """The metric at each point [points]: over seeds, and over questions by their weights."""
        means: Floats = np.array([self.weights @ of.mean(axis=0) for of in self.values])
        return means / float(self.weights.sum())

    def resampled(self, draws: int = DRAWS, seed: int = 0) -> Floats:
        """The metric at each point of so many resamples: [draws, points]; of one cluster there are none.

        The pigeonhole bootstrap (Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1):
        clusters of questions and seeds are drawn independently of each other, and all points take the same
        draw, so that differences between points are paired. A seed is the same sample's way along all points.
        Of S seeds a bootstrap sees only (S - 1) / S of the variance: what it draws of them is widened by
        that. What is drawn of few clusters is widened as a t-interval is (Hesterberg 2015).
        """
        rng = np.random.default_rng(seed)
        clusters = int(self.clusters.max()) + 1
        if clusters < 2:
            return np.empty((0, len(self.values)))
        taken = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=draws)
        by_question = taken[:, self.clusters] * self.weights
        by_question /= by_question.sum(axis=1, keepdims=True)
        seeds = max(len(of) for of in self.values)
        order = rng.integers(0, seeds, (draws, seeds))
        means: Floats = np.empty((draws, len(self.values)))
        for at, of in enumerate(self.values):
            of_seed = by_question @ of.T
            of_all = of_seed.mean(axis=1)
            drawn = np.take_along_axis(of_seed, order % len(of), axis=1).mean(axis=1)
            widened = np.sqrt(len(of) / (len(of) - 1)) if len(of) > 1 else 0.0
            means[:, at] = of_all + widened * (drawn - of_all)
        return self.means() + self._widened * (means - self.means())

    @property
    def _widened(self) -> float:
        """How much further out than the bootstrap's an interval of so many clusters lies."""
        from scipy.special import ndtri, stdtrit

        of_cluster = np.bincount(self.clusters, self.weights)
        size = max(2.0, float(of_cluster.sum() ** 2 / np.square(of_cluster).sum()))
        return float(stdtrit(size - 1, 0.975) / ndtri(0.975) * np.sqrt(size / (size - 1)))


def spread(draws: Floats) -> Floats:
    """Standard error at each point [points] of resamples [draws, points], never 0: no point weighs all."""
    errors: Floats = draws.std(axis=0)
    least = errors[errors > 0].min() if (errors > 0).any() else 1.0
    return np.maximum(errors, least)
