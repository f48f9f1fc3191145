"""What was measured of searching: the card of an index, the curve of a scaling study."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.curve import Curve
    from retriever.ranking.card import Card


def card(found: "Card") -> None:
    """Print the settings of an index that are worth choosing: none is both quicker and better."""
    table = Table(
        title=f"{amount(found.rows, 'passages')}, {amount(found.queries, 'queries')}",
        title_justify="left",
        box=None,
    )
    for name in ("lists probed", "re-scored", "recall@10", "recall@100", "read", "ms a query"):
        table.add_column(name, justify="right", min_width=max(map(len, name.split())))
    reached = 0.0
    for rung in sorted(found.rungs, key=lambda rung: rung.milliseconds):
        if rung.recall_10 > reached:
            reached = rung.recall_10
            table.add_row(
                f"{rung.nprobe:,}" if rung.nprobe else "all",
                f"{rung.depth:,}",
                f"{rung.recall_10:.3f}",
                # Fewer re-scored than asked for: a search for 100 takes a deeper setting.
                f"{rung.recall_100:.3f}" if not 0 < rung.depth < 100 else "",
                amount(rung.bytes_read, "bytes"),
                f"{rung.milliseconds:.2f}",
            )
    console.print(table)


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
