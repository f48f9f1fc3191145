"""Whether a metric still gains from a larger datastore, by what was measured alone.

Decisions: docs/decisions/analysis.md.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.resampling import Interval

Floats = NDArray[np.float64]
# A metric has saturated if the last decade surely brought less than this share of what decades before it did.
_SHARE = 0.25


@dataclass(frozen=True)
class Saturation:
    """What the last decade of size brought, beside the mean of the decades before it.

    `verdict` is "saturated", "falling", "slowing", "improving" or "undecided"; gains are better the higher
    they are.
    """

    last: Interval
    before: Interval
    verdict: str


def saturation(sizes: Floats, means: Floats, draws: Floats, higher: bool = True) -> Saturation | None:
    """Compare the last decade with those before it; None of less than one and a half decades.

    `sizes` [points] from small to large, the metric there [points] and in resamples [draws, points]. Between
    points the metric is taken to be straight over the size's logarithm.
    """
    logs = np.log10(sizes)
    if logs[-1] - logs[0] < 1.5:
        return None
    sign = 1 if higher else -1
    values = sign * np.vstack([means[None], draws])
    middle = np.array([np.interp(logs[-1] - 1, logs, of) for of in values])
    last = values[:, -1] - middle
    before = (middle - values[:, 0]) / (logs[-1] - 1 - logs[0])
    least = Interval.of(0, (last - _SHARE * before)[1:])
    slower = Interval.of(0, (last - before)[1:])
    of_last, of_before = Interval.of(last[0], last[1:]), Interval.of(before[0], before[1:])
    return Saturation(of_last, of_before, _verdict(of_last, of_before, least.high < 0, slower.high < 0))


def _verdict(last: Interval, before: Interval, saturated: bool, slower: bool) -> str:
    if last.high < 0:
        return "falling"
    if before.low > 0 and saturated:
        return "saturated"
    if last.low > 0:
        return "slowing" if slower else "improving"
    return "undecided"
