"""A study's files: results.parquet for programs, report.md and scaling.png for people."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from base.errors import RalmError
from datastore.files.writing import atomic_write
from pipelines.evaluate.answers import Reply
from pipelines.evaluate.curve import Curve, as_columns
from pipelines.evaluate.plot import draw

_FILES = ("results.parquet", "report.md", "scaling.png")


def holds_a_curve(folder: Path) -> bool:
    """Whether an earlier study wrote its files there. Raises RalmError for what is no folder."""
    if folder.exists() and not folder.is_dir():
        raise RalmError(f"{folder} is a file: choose a folder for the report.")
    return any((folder / name).exists() for name in _FILES)


def write(curve: Curve, replies: Sequence[Reply]) -> None:
    """Write all files of a study into its output folder, in place of those of an earlier one."""
    folder = curve.study.output
    table = pa.table(as_columns(curve.points))
    atomic_write(folder / "results.parquet", lambda handle: pq.write_table(table, handle))
    atomic_write(folder / "report.md", lambda handle: handle.write(markdown(curve).encode()))
    atomic_write(folder / "scaling.png", lambda handle: draw(curve, handle))
    if replies:
        lines = b"".join(orjson.dumps(one.to_json(), option=orjson.OPT_APPEND_NEWLINE) for one in replies)
        atomic_write(folder / "answers.jsonl", lambda handle: handle.write(lines))
    elif _are_replies(folder / "answers.jsonl"):
        # They would pass for answers of this study.
        (folder / "answers.jsonl").unlink()


def _are_replies(path: Path) -> bool:
    """Whether a file holds the answers of a study: a file of the user's own may have its name."""
    if not path.is_file():
        return False
    with path.open("rb") as lines:
        first = lines.readline()
    return b'"fraction":' in first and b'"seed":' in first


def markdown(curve: Curve) -> str:
    """The study as a Markdown page."""
    first = curve.points[0]
    alone = " (embeddings alone: a share is searched as if the store had been built of it)"
    method = first.basis.method + (alone if first.basis.method == "dense" else "")
    answers = next((p for p in curve.points if p.basis.reader), None)
    lines = [
        "# Scaling curve",
        "",
        f"- store: manifest `{first.basis.manifest}`, encoder {first.basis.encoder}, {method}",
        f"- questions: {Path(curve.study.questions).name}, {curve.questions()}",
        f"- samples at each fraction below 1: {curve.study.seeds}",
    ]
    if answers:
        basis, how = answers.basis, curve.study.conditioning
        adapted = f" with {basis.adapter}" if basis.adapter else ""
        lines.append(
            f"- reader: {basis.reader}{adapted}, {basis.quantization}, {_bytes(basis.reader_bytes)}, "
            f"{how.told()}"
        )
    if few := curve.few():
        lines.append(f"- {few}.")
    if curve.short:
        lines.append(f"- {curve.short} rankings hold fewer than k passages: their search found no more.")
    lines += [f"- {note}" for note in curve.notes]
    lines += ["", "Per cent, with 95% intervals (bootstrap over questions).", ""]
    columns = curve.columns()
    lines += ["| " + " | ".join(columns) + " |", "|" + " ---: |" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in curve.rows_for_people()]
    return "\n".join(lines) + "\n"


def _bytes(count: int | None) -> str:
    return "bytes unknown" if count is None else f"{count:,} bytes"
