"""Charts of a report: metric against size, against cost, and as bars. They take numbers and labels alone.

Decisions: docs/decisions/reports.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.report.style import COLOURS, GREY, HEIGHT, drawn, look
from pipelines.evaluate.report.wording import size

Floats = NDArray[np.float64]
# Inches that a row of the legend takes.
_ROW = 0.16


@dataclass(frozen=True)
class Line:
    """Values with bounds at sizes [n]; `level` is the same metric without a datastore, if there is one."""

    label: str
    x: Floats
    y: Floats
    low: Floats
    high: Floats
    level: float | None = None


@dataclass(frozen=True)
class Axes:
    """What stands above and beside a chart."""

    title: str
    x: str
    y: str
    percent: bool = False
    # Behind the sizes along x, as in 1.2 GB.
    unit: str = ""

    @property
    def factor(self) -> float:
        """What values are multiplied by."""
        return 100.0 if self.percent else 1.0


def lines_chart(lines: Sequence[Line], how: Axes, marks: Sequence[Line] = ()) -> tuple[bytes, bytes]:
    """Lines with bands over a size's logarithm; levels are flat. `marks` are curves without markers: laws."""

    def draw(figure: Any, axes: Any) -> None:
        for number, line in enumerate(lines):
            style = look(number)
            axes.plot(line.x, how.factor * line.y, label=line.label, **style)
            axes.fill_between(
                line.x,
                how.factor * line.low,
                how.factor * line.high,
                color=style["color"],
                alpha=0.14 if len(lines) <= 3 else 0.07,
                linewidth=0,
            )
        _levels(axes, lines, how)
        for mark in marks:
            axes.plot(
                mark.x, how.factor * mark.y, color=GREY, linewidth=1, linestyle=(0, (2, 2)), label=mark.label
            )
            axes.fill_between(
                mark.x, how.factor * mark.low, how.factor * mark.high, color=GREY, alpha=0.12, linewidth=0
            )
        axes.set_xscale("log")
        _frame(figure, axes, how)

    return drawn(draw, HEIGHT + _ROW * (1 + len(lines) + len(marks)))


def _levels(axes: Any, lines: Sequence[Line], how: Axes) -> None:
    """The LM alone: a flat line of a line's colour, or one grey line that all share."""
    levels = {line.level for line in lines if line.level is not None}
    shared = len(levels) == 1
    for number, line in enumerate(lines):
        if line.level is not None:
            colour = GREY if shared else COLOURS[number % len(COLOURS)]
            axes.axhline(how.factor * line.level, color=colour, linestyle=(0, (1, 1)), linewidth=1.2)
    if levels:
        label = "LM alone" if shared else "LM alone, in each one's colour"
        axes.plot([], [], color=GREY, linestyle=(0, (1, 1)), linewidth=1.2, label=label)


@dataclass(frozen=True)
class Dots:
    """Ways of one kind: costs and values with bounds [n], and which are on the front."""

    label: str
    x: Floats
    y: Floats
    low: Floats
    high: Floats
    front: NDArray[np.bool_]


def front_chart(groups: Sequence[Dots], how: Axes) -> tuple[bytes, bytes]:
    """Ways over their cost's logarithm, with bars of intervals; a group's front is joined by steps."""

    def draw(figure: Any, axes: Any) -> None:
        for number, of in enumerate(groups):
            style = look(number)
            bounds = [how.factor * (of.y - of.low), how.factor * (of.high - of.y)]
            axes.errorbar(
                of.x,
                how.factor * of.y,
                np.maximum(bounds, 0),
                fmt=style["marker"],
                color=style["color"],
                markerfacecolor="white",
                markersize=4.5,
                elinewidth=0.8,
                label=of.label,
            )
            order = np.flatnonzero(of.front)[np.argsort(of.x[of.front])]
            axes.plot(
                of.x[order],
                how.factor * of.y[order],
                drawstyle="steps-post",
                color=style["color"],
                linestyle=style["linestyle"],
                linewidth=1.4,
            )
            axes.plot(
                of.x[order],
                how.factor * of.y[order],
                style["marker"],
                color=style["color"],
                markersize=4.5,
                zorder=5,
            )
        axes.set_xscale("log")
        _frame(figure, axes, how)

    return drawn(draw, HEIGHT + _ROW * len(groups))


def scatter_chart(x: Floats, y: Floats, label: str, how: Axes) -> tuple[bytes, bytes]:
    """Pairs [n] around the diagonal, on which both are the same."""

    def draw(figure: Any, axes: Any) -> None:
        axes.axline(
            (how.factor * float(y.mean()),) * 2, slope=1, color=GREY, linewidth=0.8, linestyle=(0, (2, 2))
        )
        axes.plot(how.factor * x, how.factor * y, "o", color=COLOURS[0], markersize=3, alpha=0.6, label=label)
        axes.set(title=how.title, xlabel=how.x, ylabel=how.y)

    return drawn(draw)


def bars_chart(labels: Sequence[str], bounds: Floats, how: Axes) -> tuple[bytes, bytes]:
    """Differences [n, 3] (value, low, high) as dots with bars, one a row, and a line at 0."""

    def draw(figure: Any, axes: Any) -> None:
        rows = np.arange(len(labels))[::-1]
        value, low, high = how.factor * bounds.T
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.errorbar(
            value,
            rows,
            xerr=[value - low, high - value],
            fmt="o",
            color=COLOURS[0],
            markersize=4.5,
            elinewidth=1.1,
        )
        axes.set_yticks(rows, labels)
        axes.set_ylim(-0.7, len(labels) - 0.3)
        axes.set(title=how.title, xlabel=how.x)

    return drawn(draw, max(1.3, 0.75 + 0.24 * len(labels)))


def _tick(value: float, unit: str) -> str:
    """A size along x, as 10 M or 1 GB; what has no name is a power of ten."""
    return size(value, unit) if value < 1e18 else f"{value:.0e}".replace("e+", "e")


def _frame(figure: Any, axes: Any, how: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = np.log10(axes.get_xlim())
    if high - low > 1.5:
        axes.xaxis.set_major_locator(LogLocator(10, numticks=8))
    else:
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, how.unit)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(title=how.title, xlabel=how.x, ylabel=how.y)
    figure.legend(loc="outside lower left", ncols=1, handlelength=3.2, borderaxespad=0)
