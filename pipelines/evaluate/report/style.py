"""How figures of a report look, and their bytes: the same for the same figures.

Decisions: docs/decisions/reports.md.
"""

import io
from collections.abc import Callable
from typing import Any

# Told apart by colour-blind readers too (Okabe and Ito 2008). For those who see no colour at all, each line
# has a marker and a stroke of its own.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
STROKES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (1, 1.5)),
    (0, (6, 2, 1, 2)),
    (0, (3, 3)),
    (0, (6, 2, 1, 2, 1, 2)),
)
MOST_LINES = len(COLOURS)
GREY = "#555555"
# A column of a page of two; what is written must be read at that size.
WIDTH, HEIGHT = 3.5, 2.7
_RC = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "path",
    # Names inside an SVG are hashes; with a salt of its own they are the same each time.
    "svg.hashsalt": "ralm",
}
_DPI = 220


def drawn(draw: Callable[[Any, Any], None], height: float = HEIGHT) -> tuple[bytes, bytes]:
    """SVG and PNG of what `draw` puts into a figure's axes. No date and no version is in them."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(_RC):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, figure.subplots())
        figure.draw_without_rendering()
        # What is where is settled: without this it would be worked out again for each file.
        figure.set_layout_engine("none")
        return (
            _saved(figure, "svg", dict.fromkeys(("Date", "Creator", "Format", "Type"))),
            _saved(figure, "png", {"Software": None}),
        )


def _saved(figure: Any, kind: str, metadata: dict[str, None]) -> bytes:
    handle = io.BytesIO()
    figure.savefig(handle, format=kind, dpi=_DPI, metadata=metadata)
    return handle.getvalue()


def look(number: int) -> dict[str, Any]:
    """Colour, marker and stroke of a figure's line; no two of the first 36 share all three."""
    turn = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[(number + turn) % len(MARKERS)],
        "linestyle": STROKES[(number + turn) % len(STROKES)],
        "linewidth": max(1.1, 2.0 - 0.2 * number),
        "markersize": max(3.5, 6.5 - 0.6 * number),
        "markerfacecolor": "white",
    }
