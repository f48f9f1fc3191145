"""The curve of a scaling study, as a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.curve import Curve


def curve(found: "Curve", output: Path) -> None:
    """Print a scaling study's table: as several, if its metrics are more than the terminal is wide."""
    # Where a line may break: a heading that cannot is cut at 80 columns.
    headings = [name.replace("@", " @").replace("_", " ") for name in found.columns()]
    # The interval under its value, no wider than a heading: else seven columns do not fit a terminal.
    rows = [
        [cell.replace(" [", "\n\\[").replace(", ", "–") for cell in row] for row in found.rows_for_people()
    ]
    widths = [
        1 + max(len(word) for text in (heading, *(row[at] for row in rows)) for word in text.split() or [""])
        for at, heading in enumerate(headings)
    ]
    for number, metrics in enumerate(_fitting(widths)):
        table = Table(title="" if number else "Scaling", title_justify="left", box=None, padding=(0, 1, 0, 0))
        for at in (0, 1, *metrics):
            table.add_column(headings[at], justify="right", overflow="fold")
        for row in rows:
            table.add_row(*(row[at] for at in (0, 1, *metrics)))
        console.print(table)
    console.print(found.questions(), soft_wrap=True)
    if few := found.few():
        console.print(few, soft_wrap=True)
    console.print(
        f"Table and plot: {escape(str(output))}/results.parquet, scaling.png, report.md", soft_wrap=True
    )


def _fitting(widths: Sequence[int]) -> list[list[int]]:
    """The columns behind the first two, in as few groups as fit the terminal beside those two."""
    room, groups, used = console.width - sum(widths[:2]), [list[int]()], 0
    for at, width in enumerate(widths[2:], 2):
        if groups[-1] and used + width > room:
            groups.append([])
            used = 0
        groups[-1].append(at)
        used += width
    return groups
