"""How sure a figure is: means, shares, differences and quotients, each with its 95% interval.

Values of questions or texts are resampled, or of whole clusters of them: those that share a document are not
independent. Knows numbers alone.

Decisions: docs/decisions/measuring.md.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Clusters = NDArray[np.int64]

_RESAMPLES = 1000
# Draws that are made at once: 32 MB of them.
_DRAWS = 1 << 22
_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Score:
    """A figure over n questions or texts, with its 95% interval: NaN where nothing can be said."""

    value: float
    low: float
    high: float
    n: int

    @property
    def change(self) -> Literal["more", "less", "none"]:
        """What a difference says: "none" if its interval holds 0, or if there is no interval."""
        if self.low > 0:
            return "more"
        return "less" if self.high < 0 else "none"


NOTHING = Score(math.nan, math.nan, math.nan, 0)


def mean(values: Floats, clusters: Clusters | None = None) -> Score:
    """The mean of values [n]; `clusters` [n] numbers those that depend on each other.

    A share, of values that are 0 or 1, has Wilson's interval, any other mean that of the bootstrap.
    """
    if not len(values):
        return NOTHING
    if np.isin(values, (0.0, 1.0)).all():
        return share(values, clusters)
    return bootstrap(np.column_stack([values, np.ones(len(values))]), _quotient, clusters)


def difference(ours: Floats, theirs: Floats, clusters: Clusters | None = None) -> Score:
    """The mean of `ours` - `theirs`, values of the same questions [n].

    The paired bootstrap: each question is drawn with both of its values, so that what makes it hard for both
    falls out.
    """
    if not len(ours):
        return NOTHING
    changes = ours - theirs
    if abs(changes[0]) == 1 and (changes == changes[0]).all():
        return _all_alike(float(changes[0]), len(changes), clusters)
    return bootstrap(np.column_stack([changes, np.ones(len(changes))]), _quotient, clusters)


def _all_alike(change: float, n: int, clusters: Clusters | None) -> Score:
    """Of n questions each changed from 0 to 1, or from 1 to 0: resampled they would leave no doubt.

    Another one would have changed so with at least the share of Wilson's interval, and back at worst.
    """
    ends = change, change * (2 * share(np.ones(n), clusters).low - 1)
    return Score(change, min(ends), max(ends), n)


def share(values: Floats, clusters: Clusters | None = None) -> Score:
    """The share of values [n] that are 1 rather than 0, with Wilson's interval (Wilson 1927).

    Of clusters it is taken over fewer than n: over as many independent questions as would vary as much, and
    fewer again where few clusters say how much that is (Korn and Graubard 1998).
    """
    n, p, z = len(values), float(values.mean()), _normal(1 - _TAIL)
    size = n if clusters is None else _effective(values, clusters)
    middle = (p + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(p * (1 - p) / size + z * z / (4 * size * size))
    return Score(p, max(0.0, middle - half), min(1.0, middle + half), n)


def bootstrap(
    columns: Floats, statistic: Callable[[Floats], Floats], clusters: Clusters | None = None
) -> Score:
    """A statistic of the sums of columns [n, c], of sums [r, c] to figures [r], by the percentile bootstrap.

    Rows are resampled, or whole clusters of them (Efron 1979). Percentiles lie further out the fewer there
    are, or the interval would be too narrow (Hesterberg 2015, "expanded percentile"). Of one there is none.
    The last column is what rows weigh: few long texts among short ones count as few.
    """
    sums = _summed(columns, clusters)
    value = float(statistic(sums.sum(axis=0)[None])[0])
    if len(sums) < 2:
        return Score(value, math.nan, math.nan, len(columns))
    found = np.concatenate([statistic(some) for some in _resampled(sums)])
    weights = sums[:, -1]
    size = max(2.0, float(weights.sum() ** 2 / (weights**2).sum()))
    tail = _normal_tail(-_student(size - 1) * math.sqrt(size / (size - 1)))
    low, high = np.quantile(found, [tail, 1 - tail])
    return Score(value, float(low), float(high), len(columns))


def clusters_of(documents: Sequence[Collection[str]]) -> Clusters:
    """The number of each question's cluster [n], from 0, by the ids of its documents (or passages).

    Questions that share a document, be it by way of a third, are of one cluster. Without documents a
    question is a cluster of its own.
    """
    # Each question points towards the first of its cluster, which points at itself.
    above = list(range(len(documents)))
    holder: dict[str, int] = {}
    for number, ids in enumerate(documents):
        for one in ids:
            above[_first(above, number)] = _first(above, holder.setdefault(one, number))
    firsts = [_first(above, number) for number in range(len(documents))]
    return np.unique(firsts, return_inverse=True)[1].astype(np.int64)


def _first(above: list[int], number: int) -> int:
    while above[number] != number:
        above[number] = above[above[number]]
        number = above[number]
    return number


def _quotient(sums: Floats) -> Floats:
    return np.asarray(sums[:, 0] / sums[:, 1])


def _summed(columns: Floats, clusters: Clusters | None) -> Floats:
    """The sums of each cluster's rows: [clusters, c]."""
    if clusters is None:
        return np.asarray(columns, np.float64)
    _, of = np.unique(clusters, return_inverse=True)
    return np.stack([np.bincount(of, column) for column in columns.T], axis=1)


def _resampled(sums: Floats) -> Iterator[Floats]:
    """Sums over resamples of rows [m, c], some resamples at a time: [some, c]."""
    together = max(1, min(_RESAMPLES, _DRAWS // len(sums)))
    for first in range(0, _RESAMPLES, together):
        yield _drawn(len(sums), first, min(together, _RESAMPLES - first)) @ sums


# The same draws for all figures of the same questions: a study has hundreds.
@lru_cache(maxsize=2)
def _drawn(rows: int, first: int, resamples: int) -> Floats:
    """How often each row is drawn in each of some resamples, the `first` of them by number: [some, rows]."""
    draws = np.random.default_rng([rows, first]).integers(0, rows, (resamples, rows))
    draws += np.arange(resamples)[:, None] * rows
    counts = np.bincount(draws.ravel(), minlength=resamples * rows)
    return counts.reshape(resamples, rows).astype(np.float64)


def _effective(values: Floats, clusters: Clusters) -> float:
    """As how many independent values these clusters' values [n] count: at most n.

    Where all are the same nothing says how alike those of a cluster are: each counts once.
    """
    n, p = len(values), float(values.mean())
    sums = _summed(np.column_stack([values - p, np.ones(n)]), clusters)
    m = len(sums)
    if m == n:
        return float(n)
    if m == 1 or p in (0.0, 1.0):
        return float(m)
    varies = m / (m - 1) * float((sums[:, 0] ** 2).sum()) / n**2
    size = min(float(n), p * (1 - p) / varies) if varies else float(n)
    return size * (_normal(1 - _TAIL) / _student(m - 1)) ** 2


def _normal(p: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(p))


def _normal_tail(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(z))


@lru_cache(maxsize=1024)
def _student(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - _TAIL))
