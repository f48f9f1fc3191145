"""What a tuning collects and learns."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from lm.tuning.model_card import Tuned
    from pipelines.tuning.collecting import Collected


def collected(found: "Collected", folder: Path) -> None:
    """Print how many lessons there are of each kind."""
    table = Table(title=amount(len(found.examples), "lessons"), title_justify="left", box=None)
    table.add_column("kind")
    table.add_column("lessons", justify="right")
    for kind, count in found.kinds.items():
        table.add_row(kind, f"{count:,}")
    console.print(table)
    console.print(f"{amount(found.held_out, 'questions')} held out. Lessons: {escape(str(folder))}")


def tuned(found: "Tuned", folder: Path) -> None:
    """Print what was learnt, and how to use it."""
    console.print(
        f"Learnt {amount(found.lessons - found.left_out, 'lessons')}, {amount(found.tokens, 'tokens')}, "
        f"in {amount(found.steps, 'steps')}."
    )
    if found.left_out:
        console.print(
            f"Left out, as they are longer than a row (--width): {amount(found.left_out, 'lessons')}."
        )
    console.print(f"To read with it: ralm ask STORE QUESTION --adapter {escape(str(folder))}")
