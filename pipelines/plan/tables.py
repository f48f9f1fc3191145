"""A plan as tables for people and as JSON for programs."""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from base.amounts import duration, singular
from pipelines.plan.arithmetic import Plan, Step
from pipelines.plan.designs import PROBED, designs, vectors_dollars
from pipelines.plan.figure import Figure
from pipelines.plan.rates import OF_GPUS, THIS_MACHINE, Rates

_PREFIXES = (("T", 1e12), ("B", 1e9), ("M", 1e6))
_UNITS = (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3))


def show_plan(plan: Plan, console: Console) -> None:
    """Print a plan."""
    parts = _summary(plan), _bytes(plan), _index(plan), *_designs(plan), _work(plan)
    for part in (*parts, *_notes(plan), _rates(plan)):
        console.print(part)


def count(number: float) -> str:
    """A count for people: 142,709; 8.23 B; 1.40 T."""
    for name, unit in _PREFIXES:
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes for people, three digits: 461 GB, 6.33 TB."""
    for name, unit in _UNITS:
        if number >= unit:
            return f"{_digits(number / unit)} {name}"
    return f"{number:,.0f} B"


def _numbered(number: float, unit: str, shown: Callable[[float], str] = "{:g}".format) -> str:
    """A number and what it counts, one or several."""
    return f"{shown(number)} {singular(unit) if number == 1 else unit}"


def _digits(number: float) -> str:
    """Three significant digits, thousands apart; of less than a hundredth one, and then none."""
    if number >= 100:
        return f"{number:,.0f}"
    if number >= 10:
        return f"{number:.1f}"
    if number >= 0.01 or not number:
        return f"{number:.2f}"
    return f"{number:.3f}" if number >= 0.001 else "<0.001"


def dollars(number: float) -> str:
    """Money: whole dollars from ten up, cents below, and below a cent its tenths; nothing is shown as $0."""
    if number >= 10 or not number:
        return f"${number:,.0f}"
    if number >= 0.01:
        return f"${number:.2f}"
    return f"${number:.3f}" if number >= 0.001 else "<$0.001"


def _table(title: str, *columns: str, text: int = 1) -> Table:
    """A table whose first columns are text, and the last if its name begins with a blank."""
    table = Table(
        title=f"\n{title}", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
    )
    for at, name in enumerate(columns):
        left = at < text or name.startswith(" ")
        table.add_column(
            name.strip(), justify="left" if left else "right", no_wrap=not name.startswith(" "), style=""
        )
    return table


def _summary(plan: Plan) -> Table:
    corpus, rates = plan.corpus, plan.rates
    table = Table(
        title=f"Plan for {count(corpus.tokens)} tokens (nothing is written)",
        title_justify="left",
        title_style="bold",
        show_header=False,
        box=None,
        padding=(0, 2, 0, 0),
    )
    machines = _numbered(rates.cores, "cores") + (
        f", {_numbered(rates.gpus, f'{rates.gpu} GPUs')}" if rates.gpus else ", no GPU"
    )
    machines += _whose(rates)
    documents = _numbered(corpus.documents, "documents", count)
    rows = (
        ("corpus", corpus.basis),
        (
            "passages",
            f"{count(corpus.passages)} of {_numbered(round(corpus.passage_tokens), 'tokens')}, "
            f"from {documents}, {size(corpus.text_bytes)} of text",
        ),
        (
            "encoder",
            f"{plan.encoder.name}, {plan.encoder.dimension} dimensions, "
            f"{count(plan.encoder.parameters)} parameters beside embedding tables",
        ),
        ("machines", machines),
        ("time", f"[bold]{duration(plan.days * 86400)}[/], one stage after another on all of them"),
        ("money", f"[bold]{dollars(plan.dollars)}[/], of which the disk {dollars(plan.disk_dollars)}"),
        (
            "energy",
            f"[bold]{_digits(plan.kwh)} kWh[/], {_digits(plan.carbon_kg)} kg of CO2, "
            f"{_digits(plan.water_l)} l of water (PUE {rates.pue:g})",
        ),
    )
    table.add_column(style="dim")
    table.add_column()
    for name, text in rows:
        table.add_row(name, text if "[bold]" in text else escape(text))
    return table


def _whose(rates: Rates) -> str:
    """Where the numbers of cores and GPUs come from, if nobody gave them."""
    sources = (rates.cores.source, rates.gpus.source)
    if assumed := [source.partition(": ")[2] for source in sources if source.startswith("assumed")]:
        return f", assumed ({', '.join(assumed)})"
    return ": this machine" if THIS_MACHINE in sources else ""


def _bytes(plan: Plan) -> Table:
    table = _table("Bytes", "files", "size", " of")
    source = size(plan.corpus.text_bytes)
    table.add_row("source text", source, "uncompressed; the user's own, in no sum below", style="dim")
    for one in plan.files:
        table.add_row(one.name, size(one.bytes), escape(one.of), style="dim" if one.in_work else "")
    table.add_row("the store", size(plan.store_bytes), "what stays", style="bold")
    table.add_row("disk, at most", size(plan.peak_bytes), "with work/, until it is published", style="bold")
    return table


def _index(plan: Plan) -> Table:
    table = _table("Index options", "key", "in memory", "a passage", "on disk", "RAM", " ")
    for one in plan.options:
        ram = size_of_ram(one.ram_bytes)
        remark = "planned" if one.key == plan.key else ""
        if one.key == plan.auto:
            remark = f"auto for {_memory(plan)}" + (", planned" if remark else "")
        table.add_row(
            one.key,
            size(one.memory_bytes),
            f"{one.memory_bytes / plan.corpus.passages:.1f} B",
            size(one.disk_bytes) if one.disk_bytes else "vectors",
            ram if one.machines == 1 else f"{one.machines} x {ram}",
            remark,
            style="bold" if one.key == plan.key else "",
        )
    return table


def _designs(plan: Plan) -> list[Table | str]:
    found = designs(plan)
    if not found:
        return []
    table = _table(
        f"Searched from ({PROBED} lists a query)", "where", "key", "on", "a query", "a month", "energy"
    )
    table.columns[1].justify = "left"
    for one in found:
        cells = one.key, one.on, size(one.query_bytes), dollars(one.dollars), f"{_digits(one.kwh)} kWh"
        table.add_row(one.name, *cells)
    return [table, f"beside each: vectors on SSDs, {dollars(vectors_dollars(plan))} a month"]


def size_of_ram(number: int) -> str:
    """A power of two of bytes: 512 GiB, 2 TiB."""
    return f"{number >> 40} TiB" if number >= 1 << 40 else f"{number >> 30} GiB"


def _memory(plan: Plan) -> str:
    gib = plan.index_memory / 2**30
    return f"{gib:,.3g} GiB" if gib < 1000 else f"{gib / 1024:,.3g} TiB"


def _work(plan: Plan) -> Table:
    table = _table("Work", "stage", "hours", " of", "time", "money", "energy")
    for step in plan.steps:
        table.add_row(*_step(step))
    kept = _numbered(plan.rates.months, "months")
    table.add_row("disk", kept, "", "", dollars(plan.disk_dollars), "")
    on_gpus = f"{_digits(plan.hours('GPUs'))} GPU + " if plan.rates.gpus else ""
    hours = f"{on_gpus}{_digits(plan.hours('cores'))} core"
    table.add_row(
        "in all",
        "",
        hours,
        duration(plan.days * 86400),
        dollars(plan.dollars),
        f"{_digits(plan.kwh)} kWh",
        style="bold",
    )
    return table


def _step(step: Step) -> tuple[str, ...]:
    return (
        step.name,
        _digits(step.hours),
        "GPU-hours" if step.device == "GPUs" else "core-hours",
        duration(step.days * 86400),
        dollars(step.dollars),
        f"{_digits(step.kwh)} kWh",
    )


def _notes(plan: Plan) -> list[str]:
    notes = []
    if plan.corpus.doubt:
        notes.append(f"[yellow]{escape(plan.corpus.doubt)}")
    if plan.uncounted:
        notes.append(
            f"[yellow]Not counted, for want of a measured rate: {escape(', '.join(plan.uncounted))}."
        )
    if plan.auto is None:
        least = size(min(one.memory_bytes for one in plan.options))
        notes.append(
            f"[yellow]`auto` would refuse {_memory(plan)}: the smallest index takes {least} (--index-memory)."
        )
    if plan.overflow:
        notes.append(
            f"[yellow]The disk of {plan.rates.disk_tb:g} TB is too small: the build needs "
            f"{size(plan.peak_bytes)}."
        )
    return ["\n" + "\n".join(notes)] if notes else []


def _rates(plan: Plan) -> Table:
    table = _table("What it rests on", "rate", "value", "", " source", text=1)
    table.columns[2].justify = "left"
    for name, figure in plan.rates.figures().items():
        if figure.known and (plan.rates.gpus or name not in OF_GPUS):
            style = "cyan" if figure.source.startswith("given") else "dim"
            table.add_row(name, _value(figure), escape(figure.unit), escape(figure.source), style=style)
    return table


def _value(figure: Figure) -> str:
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"


def to_json(plan: Plan) -> dict[str, Any]:
    """Everything that the tables show, in plain units."""
    rates = {
        name: {
            "value": None if math.isnan(figure) else float(figure),
            "unit": figure.unit,
            "source": figure.source,
        }
        for name, figure in plan.rates.figures().items()
    }
    return {
        "corpus": asdict(plan.corpus) | {"passage_tokens": plan.corpus.passage_tokens},
        "encoder": asdict(plan.encoder),
        "gpu": plan.rates.gpu,
        "files": [asdict(one) for one in plan.files],
        "store_bytes": plan.store_bytes,
        "peak_bytes": plan.peak_bytes,
        "index": {"key": plan.key, "auto": plan.auto, "options": [asdict(one) for one in plan.options]},
        "designs": [
            {name: None if value != value else value for name, value in asdict(one).items()}
            for one in designs(plan)
        ],
        "steps": [asdict(one) for one in plan.steps],
        "uncounted": list(plan.uncounted),
        "core_hours": plan.hours("cores"),
        "gpu_hours": plan.hours("GPUs"),
        "days": plan.days,
        "dollars": {"disk": plan.disk_dollars, "in_all": plan.dollars},
        "kwh": plan.kwh,
        "carbon_kg": plan.carbon_kg,
        "water_l": plan.water_l,
        "rates": rates,
    }
