"""What a reader answers alone and with passages, as tables."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.intervals import Score
    from pipelines.evaluate.questions.answered import Answered


def answered(found: "Answered", name: str) -> None:
    """Print every metric in both arms, what passages changed of what is known, and what all rests on."""
    console.print(_figures(found, name))
    console.print(_fates(found))
    console.print(_changes(found))
    clusters = len(np.unique(found.clusters))
    n = amount(len(found.ids), "questions")
    lines = [f"{n} in {amount(clusters, 'clusters')}; right by {found.known_by}"]
    for line in (*lines, *_basis(found.basis), *found.notes):
        console.print(f"[dim]{escape(line)}", soft_wrap=True)


def _figures(found: "Answered", name: str) -> Table:
    table = _table(name, "", "alone", "with passages", "difference")
    for arms, scores in zip(found.arms, found.figures(found.groups()["all"]).values(), strict=True):
        cells = (_cell(scores[arm], arms.is_share) for arm in ("alone", "with_passages"))
        table.add_row(_unit(arms.metric, arms.is_share), *cells, _change(scores["difference"], arms.is_share))
    return table


def _fates(found: "Answered") -> Table:
    """Of which questions the answers changed, by what the passages held."""
    knowledge, groups = found.knowledge, found.groups()
    shares = {name: knowledge.of(mask).shares() for name, mask in groups.items() if "known" not in name}
    table = _table("What passages change, % of questions", "", "n", *shares["all"])
    for name, fates in shares.items():
        table.add_row(name, f"{groups[name].sum():,}", *(_cell(score, True) for score in fates.values()))
    return table


def _changes(found: "Answered") -> Table:
    """The paired differences among what the reader knows alone and what it does not."""
    groups = {name: mask for name, mask in found.groups().items() if name != "all"}
    figures = [found.figures(mask) for mask in groups.values()]
    headings = (f"{name}, n {mask.sum():,}" for name, mask in groups.items())
    table = _table("With passages less alone", "", *headings)
    for arms in found.arms:
        cells = (_change(one[arms.metric]["difference"], arms.is_share) for one in figures)
        table.add_row(_unit(arms.metric, arms.is_share), *cells)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if at else "left")
    return table


def _unit(metric: str, is_share: bool) -> str:
    name = metric.removeprefix("reader ")
    return f"{name}, %" if is_share else name


def _cell(score: "Score", is_share: bool, sign: str = "") -> str:
    value, low, high = (100 * one if is_share else one for one in (score.value, score.low, score.high))
    # Of one cluster there is no interval.
    return f"{value:{sign}.1f} " + ("" if math.isnan(low) else f"\\[{low:{sign}.1f}, {high:{sign}.1f}]")


def _change(score: "Score", is_share: bool) -> str:
    """A difference with its interval; one whose interval holds 0 is none."""
    return ("none " if score.change == "none" else "") + _cell(score, is_share, "+")


def _basis(basis: Any) -> list[str]:
    if not basis:
        return []
    reader = basis["reader"]
    held = "bytes unknown" if reader["bytes"] is None else amount(int(reader["bytes"]), "bytes")
    adapter = f", adapter {reader['adapter']} where passages are read" if reader["adapter"] else ""
    how = basis.get("conditioning") or f"{basis['k']} passages in {basis['budget']:,} tokens"
    return [
        f"reader {reader['name']}, {reader['quantization']}, {held}{adapter}; {how}",
        f"manifest {basis['manifest']}",
    ]
