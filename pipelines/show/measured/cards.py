"""The card of an index: what its settings find and cost."""

from typing import TYPE_CHECKING

from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
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
