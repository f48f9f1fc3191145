"""What texts are worth to a reader, with passages and without."""

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.evaluate.intervals import Score
    from pipelines.evaluate.perplexity.measuring import Perplexity

# Of fewer texts an interval says little: it is drawn from them.
_FEW = 30
_ARMS = {
    "alone": "without passages",
    "with_passages": "with passages",
    "random": "with random passages",
    "bm25": "with passages by words",
    "oracle": "with passages by what is scored",
}


def perplexity(found: "Perplexity") -> None:
    """Print perplexity and bits per byte with their intervals, and what they depend on."""
    pace, study, measured = found.pace, found.study, found.measured
    figures = measured.nats.figures()
    table = Table(title=_of(found), title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in figures:
        table.add_column(name.replace("_", " "), justify="right")
    for arm in figures["perplexity"]:
        table.add_row(_ARMS.get(arm, "  difference"), *(_cell(arms[arm], arm) for arms in figures.values()))
    console.print(table)
    view = _part(study.view.fraction, study.view.seed)
    held = "bytes unknown" if found.reader["bytes"] is None else amount(int(found.reader["bytes"]), "bytes")
    lines = [
        f"windows of {pace.window:,} tokens, strides of {pace.stride:,}, searched by {pace.query:,} before",
        "passages are added before a window" if pace.added else "passages take the place of the oldest text",
        f"{amount(study.protocol.passages, 'passages')} in {measured.passage_tokens:.0f} tokens on average; "
        f"none for {measured.without:,} of {amount(measured.strides, 'strides')}",
        f"reader {found.reader['name']}, {found.reader['quantization']}, {held}, "
        "in both arms without an adapter",
        f"manifest {found.manifest}, {view}, {found.method}",
    ]
    if len(measured.nats.tokens) < _FEW:
        lines.append(f"fewer than {_FEW} texts: the intervals look surer than they are")
    for line in lines:
        console.print(f"[dim]{escape(line)}", soft_wrap=True)


def _of(found: "Perplexity") -> str:
    nats = found.measured.nats
    tokens, size = int(nats.tokens.sum()), int(nats.bytes.sum())
    return f"{amount(len(nats.tokens), 'texts')}, {amount(tokens, 'tokens')}, {size:,} bytes"


def _cell(figure: "Score", arm: str) -> str:
    """A figure with its interval; a difference whose interval holds 0 is none."""
    differs = arm.endswith("difference")
    sign, none = ("+" if differs else ""), ("none " if differs and figure.change == "none" else "")
    # Of one text there is no interval.
    low, high = f"{figure.low:{sign}.4g}", f"{figure.high:{sign}.4g}"
    return f"{none}{figure.value:{sign}.4g}" + ("" if math.isnan(figure.low) else f" \\[{low}, {high}]")


def _part(fraction: float, seed: int) -> str:
    return f"{fraction:g} of the store (seed {seed})" if fraction < 1 else "the whole store"
