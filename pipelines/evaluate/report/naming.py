"""What lines of a study are called: by the axes they differ in, and no others."""

from collections.abc import Callable, Sequence

from pipelines.evaluate.report.style import MOST_LINES
from pipelines.evaluate.tables import Cell


def _of_the_store(fraction: float) -> str:
    if fraction == 1:
        return "the whole store"
    return f"{fraction:g} of the store" if fraction else "LM alone"


# What each axis says of a line, in the order of a name.
_AXES: dict[str, Callable[[Cell], str]] = {
    "reader": lambda cell: cell.reader,
    "quantization": lambda cell: cell.quantization or "as stored",
    "adapter": lambda cell: f"with {cell.adapter}" if cell.adapter else "not tuned",
    "conditioning": lambda cell: cell.conditioning,
    "method": lambda cell: cell.method,
    "domains": lambda cell: f"of {cell.domains}" if cell.domains else "all domains",
    "where": lambda cell: f"where {cell.where}" if cell.where else "no condition",
    "filter": lambda cell: cell.filter or "no filter",
    "reranker": lambda cell: cell.reranker or "no reranker",
    "k": lambda cell: f"k = {cell.k}",
    "fraction": lambda cell: _of_the_store(cell.fraction),
}


def differing(cells: Sequence[Cell]) -> list[str]:
    """The axes in which these cells differ."""
    return [axis for axis in _AXES if len({getattr(cell, axis) for cell in cells}) > 1]


def name(cell: Cell, axes: Sequence[str]) -> str:
    """A cell by some of its axes: 135M, int8, k = 3."""
    alone = () if cell.fraction else ("conditioning", "method", "domains", "where", "filter", "reranker", "k")
    return ", ".join(said(cell) for axis, said in _AXES.items() if axis in axes and axis not in alone)


def names(cells: Sequence[Cell]) -> list[str]:
    """Each cell by what tells it from the others; one that has none beside it, by reader or depth."""
    axes = differing(cells) or (["reader", "k"] if cells[0].reader else ["k"])
    return [name(cell, axes) for cell in cells]


def facets(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    """Lines as charts can hold them: groups of few, each with what only its lines share."""
    groups: dict[str, list[Cell]] = {"": list(cells)}
    by: list[str] = []
    for axis in differing(cells):
        if max(map(len, groups.values())) <= MOST_LINES:
            break
        by.append(axis)
        groups = {}
        for cell in cells:
            groups.setdefault(name(cell, by), []).append(cell)
    return list(groups.items())
