"""Figures as people read them: units, intervals, sizes. A difference whose interval holds 0 is none.

Where there is no interval, none is shown.
"""

import math
import re

from base.amounts import amount
from pipelines.evaluate.analysis.panels import is_share
from pipelines.evaluate.analysis.resampling import Interval

_SIZES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float, unit: str) -> str:
    """A metric's value with its sign for per cent."""
    return f"{100 * value:.1f}%" if is_share(unit) else f"{value:.3g}"


def score(interval: Interval, unit: str) -> str:
    """A metric's value and interval."""
    if is_share(unit):
        return _minus(_shown(interval, ".1f", 100))
    return plain(interval)


def change(interval: Interval, unit: str, named: bool = True) -> str:
    """A difference: none, if its interval holds 0; the figures stand behind it either way.

    Where a heading tells the unit, it is not `named` again.
    """
    shown = signed(interval, unit, named)
    return f"none ({shown})" if interval.is_none else shown


def signed(interval: Interval, unit: str, named: bool = True) -> str:
    """A difference with its sign and interval."""
    factor, digits = (100, "+.1f") if is_share(unit) else (1, "+.3g")
    return _minus(_shown(interval, digits, factor, " points" if named and is_share(unit) else ""))


def plain(interval: Interval) -> str:
    """A bare number with its interval."""
    return _minus(_shown(interval, ".3g"))


def percent(share: float) -> str:
    """A share in whole per cent; a dash if nobody knows it."""
    return "–" if math.isnan(share) else f"{100 * share:.0f}%"


def _shown(interval: Interval, digits: str, factor: float = 1, unit: str = "") -> str:
    value, low, high = (factor * one for one in (interval.value, interval.low, interval.high))
    bounds = f" [{low:{digits}}, {high:{digits}}]" if interval.is_known else ""
    return f"{value:{digits}}{unit}{bounds}"


def _minus(text: str) -> str:
    """Figures with the sign that is as wide as a plus; nothing has none."""
    return re.sub(r"[+-](0(?:\.0+)?)(?![\d.])", r"\1", text).replace("-", "−")


def size(value: float, unit: str = "") -> str:
    """A large number in three digits: 1.42 M. Units stand behind it, as 1.42 MB."""
    for step, name in _SIZES:
        if abs(value) >= step * 0.9995:
            return f"{value / step:.3g} {name}{unit}"
    return f"{value:.3g} {unit}".strip()


def tokens(value: float) -> str:
    """A datastore's size: 1.42 M tokens."""
    return f"{size(value)} tokens"


def bits(value: float) -> str:
    """Bits a parameter: 8.5 bits."""
    return f"{value:.1f} bits"


def counted(count: int, what: str) -> str:
    """So many things, with separators."""
    return amount(count, what)
