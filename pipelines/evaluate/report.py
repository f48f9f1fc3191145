"""A study's files: results.parquet for programs, report.md and scaling.png for people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from base.errors import RalmError
from datastore.files.writing import atomic_write
from pipelines.evaluate.scaling import Curve, Point, as_columns


def write(curve: Curve, answers: Sequence[dict[str, Any]]) -> None:
    """Write all files of a study into its output folder."""
    folder = curve.study.output
    if folder.exists() and not folder.is_dir():
        raise RalmError(f"{folder} is a file: choose a folder for the report.")
    table = pa.table(as_columns(curve.points))
    atomic_write(folder / "results.parquet", lambda handle: pq.write_table(table, handle))
    atomic_write(folder / "report.md", lambda handle: handle.write(markdown(curve).encode()))
    atomic_write(folder / "scaling.png", lambda handle: plot(curve, handle))
    if answers:
        lines = b"".join(orjson.dumps(a, option=orjson.OPT_APPEND_NEWLINE) for a in answers)
        atomic_write(folder / "answers.jsonl", lambda handle: handle.write(lines))


def markdown(curve: Curve) -> str:
    """The study as a Markdown page."""
    first = curve.points[0]
    alone = " (embeddings alone: a share is searched as if the store had been built of it)"
    method = first.method + (alone if first.method == "dense" else "")
    reader = next((p for p in curve.points if p.reader), None)
    lines = [
        "# Scaling curve",
        "",
        f"- store: manifest `{first.manifest}`, encoder {first.encoder}, {method}",
        f"- questions: {Path(curve.study.questions).name}, n = {first.n}",
        f"- samples at each fraction below 1: {curve.study.seeds}",
    ]
    if reader:
        lines.append(
            f"- reader: {reader.reader}, {reader.quantization}, {reader.reader_bytes:,} bytes, "
            f"{curve.study.reader_passages} passages, n = {reader.n}"
        )
    short = sum(p.short for p in curve.points if p.k == max(q.k for q in curve.points))
    if short:
        lines.append(f"- {short} rankings hold fewer than k passages: their search found no more.")
    lines += [f"- {note}" for note in curve.notes]
    lines += ["", "Per cent, with 95% intervals (bootstrap over questions).", ""]
    columns = curve.columns()
    lines += ["| " + " | ".join(columns) + " |", "|" + " ---: |" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in curve.rows_for_people()]
    return "\n".join(lines) + "\n"


def plot(curve: Curve, handle: Any) -> None:
    """Draw the curve: retrieval, and the reader beside it if there is one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [[p for p in curve.points if not p.metric.startswith("reader")]]
    reader = [p for p in curve.points if p.metric.startswith("reader")]
    if reader:
        panels.append(reader)
    figure = Figure(figsize=(5.4 * len(panels), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, points, title in zip(
        figure.subplots(1, len(panels), squeeze=False)[0],
        panels,
        ("What the passages hold", "What the reader answers"),
        strict=False,
    ):
        _panel(axes, points)
        axes.set_title(title, loc="left", fontsize=11)
    figure.suptitle(f"{Path(curve.study.questions).name.split('.')[0]}", fontsize=12, x=0.01, ha="left")
    figure.savefig(handle, format="png", dpi=140)


def _panel(axes: Any, points: Sequence[Point]) -> None:
    for number, name in enumerate(dict.fromkeys((p.metric, p.k) for p in points if p.fraction)):
        line = sorted((p for p in points if (p.metric, p.k) == name), key=lambda p: p.passages)
        x, y = [p.passages for p in line], [100 * p.value for p in line]
        label = f"{name[0]}@{name[1]}" if not name[0].startswith("reader") else name[0][7:]
        axes.plot(x, y, marker="o", color=f"C{number}", label=label)
        low, high = [100 * p.low for p in line], [100 * p.high for p in line]
        axes.fill_between(x, low, high, color=f"C{number}", alpha=0.15, linewidth=0)
        alone = next((p for p in points if p.metric == name[0] and not p.fraction), None)
        if alone:
            axes.axhline(100 * alone.value, color=f"C{number}", linestyle="--", label=f"{label}, LM alone")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("passages in the datastore")
    axes.set_ylabel("% of questions (shaded: 95% interval)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
