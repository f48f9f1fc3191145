"""The terminal that all is printed on, and the two ways most of it goes there: rows and JSON."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from base.numbers import dumps

console = Console(highlight=False)
# What a terminal obeys instead of showing it.
_OBEYED = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160))}
_OBEYED |= {ord(kept): kept for kept in "\n\t"}


def as_shown(text: str) -> str:
    """A text that others wrote, for rich: brackets are no markup, a sign stands for control characters."""
    return escape(text.translate(_OBEYED))


def print_json(content: object) -> None:
    """Print JSON, indented, as UTF-8."""
    console.print(dumps(content, indent=True), markup=False, soft_wrap=True)


def print_rows(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print names and their values under a title: a path, mostly, which is left in one piece to be copied."""
    console.print(title, style="italic", markup=False, soft_wrap=True)
    table = Table(show_header=False, box=None)
    table.add_column(style="dim")
    # A number is never broken: names are, sooner.
    widest = max((len(word) for _, value in rows for word in value.split()), default=0)
    table.add_column(justify="right", min_width=min(widest, console.width // 2))
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
