"""What was measured of searching: the card of an index, the curve of a scaling study."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from pipelines.build.progress import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.scaling import Curve
    from retriever.card import Card


def card(found: "Card") -> None:
    """Print the settings of an index that are worth choosing: none is both quicker and better."""
    table = Table(
        title=f"{amount(found.rows, 'passages')}, {amount(found.queries, 'queries')}",
        title_justify="left",
        box=None,
    )
    for name in ("lists probed", "re-scored", "recall@10", "recall@100", "read", "ms a query"):
        table.add_column(name, justify="right")
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
    """Print a scaling study's table."""
    table = Table(title="Scaling", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name in found.columns():
        # Where a line may break: a heading that cannot is cut at 80 columns.
        heading = name.replace("@", " @").replace("_", " ")
        table.add_column(heading, justify="right", overflow="fold")
    for row in found.rows_for_people():
        # The interval under its value, no wider than a heading: else seven columns do not fit a terminal.
        table.add_row(*(cell.replace(" [", "\n\\[").replace(", ", "–") for cell in row))
    console.print(table)
    console.print(f"Table and plot: {escape(str(output))}/results.parquet, scaling.png, report.md")
