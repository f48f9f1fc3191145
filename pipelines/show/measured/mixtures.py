"""What mixtures of a store's domains find, as a table; the report says more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.mixtures.tables import Mixture


def mixed(found: Sequence["Mixture"], output: Path) -> None:
    """Print what each mixture that is compared finds, and what is left of the store without each domain."""
    from pipelines.evaluate.mixtures.tables import DRAWN, MIXTURES

    compared = [one for one in found if one.role != DRAWN]
    first = compared[0]
    table = Table(title=f"Mixtures of {first.task}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("store")
    for heading in ("passages", f"{first.metric}@{first.k}, %", "questions"):
        table.add_column(heading, justify="right")
    for one in compared:
        table.add_row(escape(one.role), f"{one.budget:,}", f"{100 * one.value:.1f}", f"{one.n:,}")
    console.print(table)
    drawn = amount(len(found) - len(compared), "mixtures")
    console.print(
        f"{drawn} were tried. Tables: {escape(str(output / MIXTURES))} and beside it.", soft_wrap=True
    )
