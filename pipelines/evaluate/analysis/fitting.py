"""Least squares of curves that are linear but for exponents, for all resamples at once.

y = X(exponents) @ coefficients. For given exponents the coefficients follow in closed form, so that only
exponents are searched for: variable projection (Golub and Pereyra 1973, SIAM Journal on Numerical Analysis
10). They are looked for on a grid, and around its best point on ever finer ones: no start to choose, no
failure to converge, and the same figures every time.

Decisions: docs/decisions/analysis.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Exponents lie between LEAST and MOST, those of growth that gets ever faster between -FASTEST and -LEAST. So
# near to 0 a power is a logarithm, and above MOST it is a step.
LEAST, MOST, FASTEST = 0.02, 3.0, 1.0
_GRID = {1: 96, 2: 24}
_ZOOMS, _FINE = 8, 3
# Values a turn of the coarse search holds at once.
_AT_ONCE = 2**24
# X(exponents): [..., exponents] -> [..., points, coefficients].
Design = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Fits:
    """Exponents [fits, exponents], coefficients [fits, coefficients], weighted squares left [fits]."""

    exponents: Floats
    coefficients: Floats
    squares: Floats


def fit(design: Design, count: int, y: Floats, errors: Floats) -> Fits:
    """Fit so many exponents to each row of y [fits, points], whose standard errors are [points]."""
    scaled = y / errors
    rising = np.geomspace(LEAST, MOST, _GRID[count])
    steps = np.concatenate([-rising[rising <= FASTEST][::-1], rising])
    grid = np.stack(np.meshgrid(*[steps] * count, indexing="ij"), -1).reshape(-1, count)
    best = grid[_coarse(design(grid) / errors[:, None], scaled)]
    ratio = rising[1] / rising[0]
    for _ in range(_ZOOMS):
        best = _finer(lambda at: design(at) / errors[:, None], scaled, best, ratio)
        ratio **= 0.5
    matrices = design(best) / errors[:, None]
    coefficients = (np.linalg.pinv(matrices) @ scaled[..., None])[..., 0]
    left = scaled - (matrices @ coefficients[..., None])[..., 0]
    return Fits(best, coefficients, np.square(left).sum(axis=1))


def _coarse(matrices: Floats, y: Floats) -> NDArray[np.int64]:
    """For each y [fits, points] the number of the matrix [grid, points, coefficients] that leaves least."""
    bases = np.linalg.qr(matrices)[0].swapaxes(1, 2)
    together = max(1, _AT_ONCE // (bases.shape[0] * bases.shape[1]))
    # What a matrix explains of y is the length of y in its basis: what is left is least where that is most.
    found = [
        np.square(bases @ y[at : at + together].T).sum(axis=1).argmax(axis=0)
        for at in range(0, len(y), together)
    ]
    return np.concatenate(found)


def _finer(design: Design, y: Floats, around: Floats, ratio: float) -> Floats:
    """The best exponents [fits, exponents] of a small grid around each one given."""
    steps = ratio ** np.linspace(-1, 1, _FINE)
    count = around.shape[1]
    offsets = np.stack(np.meshgrid(*[steps] * count, indexing="ij"), -1).reshape(-1, count)
    sizes = np.clip(np.abs(around)[:, None] * offsets, LEAST, np.where(around > 0, MOST, FASTEST)[:, None])
    tried = np.sign(around)[:, None] * sizes
    bases = np.linalg.qr(design(tried))[0]
    explained = np.square(bases.swapaxes(2, 3) @ y[:, None, :, None]).sum(axis=(2, 3))
    return np.take_along_axis(tried, explained.argmax(axis=1)[:, None, None], axis=1)[:, 0]
