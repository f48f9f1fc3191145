"""Nats of texts to perplexity and bits per byte, and how sure these are.

Decisions: docs/decisions/scoring.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.intervals import Score, bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Nats:
    """Of each text [texts] the nats that it takes with passages and alone, its tokens and its bytes."""

    beside: Floats
    alone: Floats
    tokens: Floats
    bytes: Floats

    def figures(self) -> dict[str, dict[str, Score]]:
        """Token-weighted perplexity and bits per byte: with passages, alone, and with passages less alone.

        Each resample takes a text with both of its values: the difference is a paired one.
        """
        return {
            "perplexity": self._arms(self.tokens, lambda nats, tokens: np.exp(nats / tokens)),
            "bits_per_byte": self._arms(self.bytes, lambda nats, sizes: nats / math.log(2) / sizes),
        }

    def _arms(self, weights: Floats, figure: Callable[[Floats, Floats], Floats]) -> dict[str, Score]:
        """A figure of nats and weights, both summed over texts, in each arm, and its difference."""
        columns = np.column_stack([self.beside, self.alone, weights])
        return {
            "with_passages": bootstrap(columns, lambda sums: figure(sums[:, 0], sums[:, 2])),
            "alone": bootstrap(columns, lambda sums: figure(sums[:, 1], sums[:, 2])),
            "difference": bootstrap(
                columns, lambda sums: figure(sums[:, 0], sums[:, 2]) - figure(sums[:, 1], sums[:, 2])
            ),
        }
