"""The plot of a study: a panel of retrieval, and one of the reader if there is one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from base.amounts import amount
from pipelines.evaluate.curve import Curve, Point

# Told apart by colour-blind readers too (Okabe and Ito 2008). For those who see no colour at all, each curve
# has a marker and a line of its own.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", (0, (6, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 3)), (0, (6, 2, 1, 2, 1, 2)))
# Of a panel's height, below 0: a curve that lies there is not cut by the axis.
_BELOW = 0.04
_DASH = 4.0


def draw(curve: Curve, handle: Any) -> None:
    """Draw the curve as a PNG: retrieval, and the reader beside it if there is one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[str, list[Point]] = {}
    for point in (one for one in curve.points if one.metric.plotted):
        panels.setdefault(point.metric.title, []).append(point)
    figure = Figure(figsize=(5.4 * len(panels), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, points) in zip(row, panels.items(), strict=True):
        _panel(axes, points)
        axes.set_title(title, loc="left", fontsize=11)
    figure.suptitle(_title(curve), fontsize=12, x=0.01, ha="left")
    figure.savefig(handle, format="png", dpi=140)


def _title(curve: Curve) -> str:
    largest = max(point.share.passages for point in curve.points)
    counts = f"{amount(curve.asked, 'questions')}, up to {amount(largest, 'passages')}"
    return f"{Path(curve.study.questions).name.split('.')[0]}: {counts}"


def _panel(axes: Any, points: Sequence[Point]) -> None:
    lines: dict[str, list[Point]] = {}
    for point in points:
        if point.share.fraction:
            lines.setdefault(point.metric.label(point.k), []).append(point)
    for number, (label, line) in enumerate(lines.items()):
        _line(axes, sorted(line, key=lambda p: p.share.passages), label, number)
    _alone(axes, [point for point in points if not point.share.fraction], list(lines))
    axes.set_xscale("log")
    _ticks(axes, sorted({p.share.passages for line in lines.values() for p in line if p.share.passages}))
    top = 105 * max(0.1, *(max(p.score.value, p.score.high) for p in points))
    axes.set_ylim(-_BELOW * top, top)
    axes.set_xlabel("passages in the datastore")
    units = dict.fromkeys(point.metric.unit for point in points)
    axes.set_ylabel(f"{', '.join(units)} (shaded: 95% interval)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _line(axes: Any, points: Sequence[Point], label: str, number: int) -> None:
    """One curve: thinner than those before it and its markers hollow, so it does not hide them."""
    colour, line, marker = style(number)
    x, y = [p.share.passages for p in points], [100 * p.score.value for p in points]
    axes.plot(
        x,
        y,
        label=label,
        color=colour,
        linestyle=line,
        linewidth=max(1.4, 3.2 - 0.4 * number),
        marker=marker,
        markersize=max(4.0, 11.0 - 1.4 * number),
        markerfacecolor="none",
    )
    low, high = [100 * p.score.low for p in points], [100 * p.score.high for p in points]
    axes.fill_between(x, low, high, color=colour, alpha=0.1, linewidth=0)


def style(number: int) -> tuple[str, Any, str]:
    """Colour, line and marker of a panel's curve of a number; no two of 36 curves have the same three."""
    turn = number // len(_COLOURS)
    return (
        _COLOURS[number % len(_COLOURS)],
        _LINES[(number + turn) % len(_LINES)],
        _MARKERS[(number + turn) % len(_MARKERS)],
    )


def _alone(axes: Any, points: Sequence[Point], labels: Sequence[str]) -> None:
    """The LM alone: dashed lines, whose dashes take turns, so that lines at one height are all seen."""
    gap = _DASH * max(1, len(points) - 1)
    for number, point in enumerate(points):
        label = point.metric.label(point.k)
        axes.axhline(
            100 * point.score.value,
            label=f"{label}, LM alone",
            color=_COLOURS[labels.index(label) % len(_COLOURS)],
            linestyle=(_DASH * number, (_DASH, gap)),
        )


def _ticks(axes: Any, sizes: Sequence[int]) -> None:
    """A tick at each size measured, upright where they stand close."""
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    steps = np.diff(np.log(sizes))
    if len(steps) and steps.min() < steps.sum() / 6:
        axes.tick_params(axis="x", labelrotation=90)
