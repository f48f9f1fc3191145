"""What each way of searching finds, as a table: metrics below each other, ways side by side."""

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.intervals import Score
    from pipelines.evaluate.methods import RetrievalFigures


def rankings(found: "RetrievalFigures") -> None:
    """Print the figures of each way, and how much more or less than the first way it finds."""
    table = Table(
        title=f"Retrieval, {amount(found.asked, 'questions')}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("100 times the mean")
    for way in found.ways:
        table.add_column(way.name, justify="right")
    scores = [found.scores(way) for way in found.ways]
    for name in scores[0]:
        table.add_row(name, *(_cell(one[name]) for one in scores))
    if len(found.ways) > 1:
        table.add_section()
        changes = [found.differences(way) for way in found.ways[1:]]
        for name in scores[0]:
            table.add_row(f"{name} - {found.ways[0].name}", "", *(_change(one[name]) for one in changes))
    table.add_section()
    table.add_row("ms a question", *(f"{way.milliseconds:.1f}" for way in found.ways))
    console.print(table)
    basis, view = found.basis, found.study.view
    part = "" if view.everything else f", {view.fraction:g} of them (seed {view.seed})"
    lines = [f"manifest {basis['manifest']}, {amount(basis['passages'], 'passages')}{part}, {basis['index']}"]
    for name, n in {name: one.n for name, one in scores[0].items() if one.n != found.asked}.items():
        lines.append(f"{name}: {amount(n, 'questions')} have what it is scored by")
    for line in (*lines, *found.notes):
        console.print(f"[dim]{escape(line)}", soft_wrap=True)


def _cell(score: "Score") -> str:
    return f"{100 * score.value:.1f}{_interval(score)}"


def _change(score: "Score") -> str:
    """A difference with its interval; one whose interval holds 0 is none."""
    said = "none " if score.change == "none" else ""
    return f"{said}{100 * score.value:+.1f}{_interval(score, '+')}"


def _interval(score: "Score", sign: str = "") -> str:
    """As it stands behind a value; of one cluster there is none."""
    if math.isnan(score.low):
        return ""
    return f" \\[{100 * score.low:{sign}.1f}, {100 * score.high:{sign}.1f}]"
