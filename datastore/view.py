"""View: which passages count, the same for every query.

A passage is in or out by a hash of its key and the seed, never by a sequential draw, so a view of a
smaller fraction is contained in one of a larger fraction with the same seed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError

# The finalizer of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
# generators", mix64 variant 13): a bijection of 64-bit words whose output bits look independent.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)


def mix(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Hash passage keys with a seed: uint64 [n] -> uint64 [n], uniform over all 64-bit words."""
    with np.errstate(over="ignore"):
        salt = _finalize(np.array([seed & 0xFFFF_FFFF_FFFF_FFFF], np.uint64) + _GAMMA)
        return _finalize(keys ^ salt)


def _finalize(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MUL_1
    x = (x ^ (x >> np.uint64(27))) * _MUL_2
    return x ^ (x >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class View:
    """A subset of a datastore's passages: a `fraction` in (0, 1] of them, sampled by `seed`."""

    fraction: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise RalmError(f"A view's fraction must be above 0 and at most 1, not {self.fraction}.")

    def keep(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these passages are in the view: uint64 [n] -> bool [n]."""
        if self.fraction == 1.0:
            return np.ones(len(keys), bool)
        return mix(keys, self.seed) < np.uint64(int(self.fraction * 2.0**64))
