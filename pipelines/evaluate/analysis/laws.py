"""Laws of growth, fitted to what a study measured, with the largest point predicted from the others.

The datastore's: y = c + a D^-b, a power law with offset (Hestness et al. 2017, arXiv 1712.00409), D in
tokens. With more than one reader: y = e + a N^-alpha + b D^-beta (Hoffmann et al. 2022, arXiv 2203.15556,
approach 3), N in parameters or bytes. Neither says that it holds beyond what was measured. A negative
exponent is growth that gets faster with each decade: that of a store that holds few of the answers yet.

Decisions: docs/decisions/analysis.md.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.fitting import LEAST, MOST, Fits, fit
from pipelines.evaluate.analysis.resampling import Interval, spread

Floats = NDArray[np.float64]
# Fewer points than these leave a law nothing to be wrong about.
FEWEST = 4
FEWEST_JOINT = 6
# This close to a bound of the exponents is at it.
_CLOSE = 1.05


@dataclass(frozen=True)
class Law:
    """A law that was fitted: at points [points, variables], to the metric there and to resamples of it.

    `fits` has the fit to the measured values in row 0, those to resamples behind it. Variables are divided
    by `scale` [variables], their geometric means.
    """

    points: Floats
    measured: Floats
    errors: Floats
    scale: Floats
    fits: Fits

    @classmethod
    def of(cls, points: Floats, measured: Floats, draws: Floats) -> "Law":
        """Fit it to the metric [points] at sizes [points, variables], and to resamples [draws, points]."""
        points = np.asarray(points, float)
        points = points[:, None] if points.ndim == 1 else points
        scale = np.exp(np.log(points).mean(axis=0))
        errors = spread(draws)
        fits = fit(
            lambda exponents: _design(points / scale, exponents),
            points.shape[1],
            np.vstack([measured[None], draws]),
            errors,
        )
        return cls(points, np.asarray(measured, float), errors, scale, fits)

    @property
    def variables(self) -> int:
        """1 for the datastore alone, 2 for reader and datastore."""
        return int(self.points.shape[1])

    @cached_property
    def exponents(self) -> tuple[Interval, ...]:
        """An exponent for each variable."""
        return tuple(Interval.of(of[0], of[1:]) for of in self.fits.exponents.T)

    @cached_property
    def offset(self) -> Interval:
        """What the metric comes near to, however large all become, if it is `bounded`."""
        offsets = self.fits.coefficients[:, 0]
        return Interval.of(offsets[0], offsets[1:])

    @property
    def factors(self) -> Floats:
        """What each power is multiplied by [variables], in the variables' own units."""
        factors: Floats = self.fits.coefficients[0, 1:] * self.scale ** self.fits.exponents[0]
        return factors

    @property
    def bounded(self) -> bool:
        """Whether the data show that the metric comes near to the offset: exponents are surely above 0."""
        return all(one.low > LEAST * _CLOSE for one in self.exponents)

    @property
    def stepped(self) -> tuple[int, ...]:
        """The variables whose exponent is as large as any that is looked for: the data show a step there."""
        return tuple(at for at, one in enumerate(self.exponents) if one.value >= MOST / _CLOSE)

    def at(self, points: Floats) -> Floats:
        """What every fit says of sizes [n, variables]: [fits, n]."""
        points = np.asarray(points, float)
        points = points[:, None] if points.ndim == 1 else points
        values: Floats = np.einsum(
            "fpc,fc->fp", _design(points / self.scale, self.fits.exponents), self.fits.coefficients
        )
        return values

    def predict(self, *sizes: float) -> "Prediction":
        """The metric at one size of each variable."""
        values = self.at(np.array([sizes]))[:, 0]
        beyond = float(np.max(np.log10(np.asarray(sizes) / self.points.max(axis=0))))
        return Prediction(Interval.of(values[0], values[1:]), max(0.0, beyond))

    @property
    def explained(self) -> float:
        """R²: the share of the metric's variance over points that the law accounts for."""
        left = np.square(self.measured - self.at(self.points)[0]).sum()
        return float(1 - left / max(np.square(self.measured - self.measured.mean()).sum(), 1e-300))


@dataclass(frozen=True)
class Prediction:
    """What a law says of a size, and how many decades that lies beyond the largest one measured."""

    value: Interval
    decades_beyond: float

    @property
    def far(self) -> bool:
        """Whether it lies more than a decade beyond what was measured: to be said with it."""
        return self.decades_beyond > 1


@dataclass(frozen=True)
class HeldOut:
    """What the law of the other points said of the largest one, which it had not seen.

    `error` is predicted - measured, resampled together.
    """

    predicted: Interval
    measured: float
    error: Interval
    decades_beyond: float


def hold_out(points: Floats, measured: Floats, draws: Floats) -> HeldOut:
    """Fit a law to all but the largest point (by the product of its sizes), and predict that one."""
    points = np.asarray(points, float)
    points = points[:, None] if points.ndim == 1 else points
    last = int(np.log(points).sum(axis=1).argmax())
    others = np.arange(len(points)) != last
    law = Law.of(points[others], measured[others], draws[:, others])
    said = law.at(points[last : last + 1])[:, 0]
    beyond = law.predict(*points[last]).decades_beyond
    return HeldOut(
        Interval.of(said[0], said[1:]),
        float(measured[last]),
        Interval.of(said[0] - measured[last], said[1:] - draws[:, last]),
        beyond,
    )


def _design(scaled: Floats, exponents: Floats) -> Floats:
    """Columns 1 and each variable to its negative exponent: [..., points, 1 + variables]."""
    powers = scaled ** -exponents[..., None, :]
    return np.concatenate([np.ones((*powers.shape[:-1], 1)), powers], axis=-1)
