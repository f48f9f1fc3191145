"""What tasks gave: lm-eval's figures, and what passages changed of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from base.amounts import amount
from pipelines.show.terminal import console

if TYPE_CHECKING:
    from pipelines.tasks.results import TaskResults


def results(found: "TaskResults", output: Path) -> None:
    """Print a table of tasks and metrics, with lm-eval's standard errors."""
    alone = found.alone
    table = Table(title="Tasks", title_justify="left", box=None)
    for name in ("task", "metric"):
        table.add_column(name)
    names = ("value", "alone", "gain [95%]") if alone else ("value",)
    for name in names:
        table.add_column(name, justify="right")
    gains = {(one.task, one.metric): one.score for one in found.gains}
    for task, metrics in found.found["results"].items():
        for metric in _metrics(metrics):
            row = [task, _named(metric), _value(metrics, metric)]
            if alone:
                gain = gains.get((task, metric))
                row.append(_number(alone["results"][task][metric]))
                row.append(f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]" if gain else "")
            table.add_row(*map(escape, row))
    console.print(table)
    for line in _notes(found.basis):
        console.print(escape(line), soft_wrap=True)
    console.print(f"Results: {escape(str(output))}/results.json", soft_wrap=True)


def _metrics(values: Mapping[str, Any]) -> list[str]:
    return [name for name in values if "," in name and "_stderr," not in name]


def _named(metric: str) -> str:
    """lm-eval's name of a metric; of its filters `none` goes without saying."""
    return metric.removesuffix(",none")


def _value(values: Mapping[str, Any], metric: str) -> str:
    name, _, rest = metric.partition(",")
    value, error = _number(values[metric]), values.get(f"{name}_stderr,{rest}")
    return f"{value} ± {error:.4f}" if isinstance(error, float) else value


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float | int) else str(value)


def _notes(basis: Mapping[str, Any]) -> list[str]:
    reader = basis["reader"]
    size = "bytes unknown" if reader["bytes"] is None else amount(reader["bytes"], "bytes")
    adapter = f", adapter {reader['adapter']}" if reader["adapter"] else ""
    lines = [f"Reader {reader['name']}, {reader['quantization']}, {size}{adapter}; k {basis['k']}."]
    for task, tally in basis.get("instances", {}).items():
        for name, said in (
            ("bare", "got no passage"),
            ("shortened", "got fewer or shorter passages than were found, by the budget"),
            ("squeezed", "got fewer still: the reader's context holds no more"),
        ):
            if tally[name]:
                of = amount(tally["instances"], "instances")
                lines.append(f"{task}: {tally[name]:,} of {of} {said}.")
    return lines
