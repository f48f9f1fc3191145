"""Nats of texts to perplexity and bits per byte, and how sure these are.

Decisions: docs/decisions/scoring.md.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.intervals import Score, bootstrap

Floats = NDArray[np.float64]
# The arm whose passages a search finds by the text before.
FOUND = "with_passages"


@dataclass(frozen=True, slots=True)
class Nats:
    """Of each text [texts] the nats that it takes alone and in each other arm, its tokens and its bytes.

    Of tokens and bytes those count that are scored.
    """

    alone: Floats
    arms: Mapping[str, Floats]
    tokens: Floats
    bytes: Floats

    def figures(self) -> dict[str, dict[str, Score]]:
        """Token-weighted perplexity and bits per byte: alone, in each arm, and each arm less alone.

        Each resample takes a text with all of its values: a difference is a paired one.
        """
        return {
            "perplexity": self._arms(self.tokens, lambda nats, tokens: np.exp(nats / tokens)),
            "bits_per_byte": self._arms(self.bytes, lambda nats, sizes: nats / math.log(2) / sizes),
        }

    def _arms(self, weights: Floats, figure: Callable[[Floats, Floats], Floats]) -> dict[str, Score]:
        """A figure of nats and weights, both summed over texts, in each arm, and its difference to alone."""
        found = {
            "alone": bootstrap(np.column_stack([self.alone, weights]), lambda s: figure(s[:, 0], s[:, 1]))
        }
        for name, nats in self.arms.items():
            columns = np.column_stack([nats, self.alone, weights])
            found[name] = bootstrap(columns, lambda s: figure(s[:, 0], s[:, 2]))
            found[less_alone(name)] = bootstrap(
                columns, lambda s: figure(s[:, 0], s[:, 2]) - figure(s[:, 1], s[:, 2])
            )
        return found


def less_alone(arm: str) -> str:
    """The name of what an arm makes of a figure: that of passages which are found has none of its own."""
    return "difference" if arm == FOUND else f"{arm}_difference"
