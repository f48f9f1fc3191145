"""A study's figures, as tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.study.summary import Block
    from pipelines.evaluate.tables import Tables


def study(tables: "Tables", output: Path) -> None:
    """Print a study's tables, and where its files lie."""
    from pipelines.evaluate.study.summary import blocks, few, small

    for block in blocks(tables):
        _block(block)
    for note in (few(tables), small(tables)):
        if note:
            console.print(note, soft_wrap=True)
    files = ", ".join(sorted(path.name for path in output.iterdir() if path.is_file()))
    console.print(f"In {escape(str(output))}: {files}", soft_wrap=True)


def _block(block: "Block") -> None:
    """Print a table: as several, if its metrics are more than the terminal is wide."""
    # Where a line may break: a heading that cannot is cut at 80 columns.
    headings = [name.replace("@", " @").replace("_", " ") for name in block.headings]
    # The interval under its value, no wider than a heading: else seven columns do not fit a terminal.
    rows = [[cell.replace(" [", "\n\\[").replace(", ", "–") for cell in row] for row in block.rows]
    widths = [
        1 + max(len(word) for text in (heading, *(row[at] for row in rows)) for word in text.split() or [""])
        for at, heading in enumerate(headings)
    ]
    for number, metrics in enumerate(_fitting(widths)):
        title = "" if number else escape(block.title)
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        for at in (0, 1, *metrics):
            table.add_column(headings[at], justify="right", overflow="fold")
        for row in rows:
            table.add_row(*(row[at] for at in (0, 1, *metrics)))
        console.print(table)


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


def written(paths: Sequence[Path], folder: Path) -> None:
    """Say which files of a report were written: plots by their number."""
    pages = [path.name for path in paths if path.parent == folder]
    plots = len({path.stem for path in paths if path.parent != folder})
    names = ", ".join([*pages, f"{amount(plots, 'plots')} in plots/"])
    console.print(f"Written in {escape(str(folder))}: {escape(names)}", soft_wrap=True)
