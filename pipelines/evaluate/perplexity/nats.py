"""Nats of texts to perplexity and bits per byte, and how sure these are.

Decisions: docs/decisions/scoring.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over all texts, with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Nats:
    """Of each text [texts] the nats that it takes with passages and alone, its tokens and its bytes."""

    beside: NDArray[np.float64]
    alone: NDArray[np.float64]
    tokens: NDArray[np.float64]
    bytes: NDArray[np.float64]

    def figures(self) -> dict[str, dict[str, Figure]]:
        """Token-weighted perplexity and bits per byte: with passages, alone, and with passages less alone.

        Intervals are by the percentile bootstrap over texts (Efron 1979). Each resample takes a text with
        both of its values: the difference is a paired one.
        """
        every = np.arange(len(self.tokens))[None]
        random = np.random.default_rng(0)
        draws = np.vstack([every, random.integers(0, every.shape[1], (_RESAMPLES, every.shape[1]))])
        found = {}
        for name, of in (("perplexity", _perplexity), ("bits_per_byte", _bits)):
            beside, alone = (of(nats[draws], self, draws) for nats in (self.beside, self.alone))
            both = {"with_passages": beside, "alone": alone, "difference": beside - alone}
            found[name] = {arm: _figure(values) for arm, values in both.items()}
        return found


def _perplexity(nats: NDArray[np.float64], of: Nats, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(nats.sum(axis=1) / of.tokens[draws].sum(axis=1)))


def _bits(nats: NDArray[np.float64], of: Nats, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(nats.sum(axis=1) / np.log(2) / of.bytes[draws].sum(axis=1))


def _figure(values: NDArray[np.float64]) -> Figure:
    """The first of some values, which is the figure; the others are those of resamples."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Figure(float(values[0]), float(low), float(high))
