"""The tables of mixtures, beside those of a study: what was tried, and what was found for each question."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from base.errors import RalmError
from datastore.files.writing import atomic_write

MIXTURES, COMPARED, USED = "mixtures.parquet", "compared.parquet", "used.parquet"
# What a compared store may be, beside `without <domain>`.
DRAWN, NATURAL, PREDICTED, BEST_DRAWN, WHOLE = "drawn", "natural", "predicted best", "best drawn", "whole"
WITHOUT = "without "


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture of domains: the rates that it keeps of each, what these make of it, and its metric.

    Of mixtures that were drawn, the metric is over the first half of the questions (n), that of the others
    over the second. `short` counts questions of which fewer than k passages were left.
    """

    task: str
    metric: str
    k: int
    role: str
    value: float
    n: int
    short: int
    budget: int
    manifest: str
    domains: tuple[str, ...]
    passages: tuple[int, ...]
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """Whether a store of a role found what a question asks for, in one sample."""

    task: str
    role: str
    seed: int
    question: str
    cluster: int
    value: float


@dataclass(frozen=True, slots=True)
class Used:
    """A passage that the whole store puts before a reader for a question, and whether it is right."""

    task: str
    question: str
    rank: int
    domain: str
    document: str
    chunk: int
    right: bool


Row = TypeVar("Row", Mixture, Compared, Used)


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of one kind, in place of those of the same tasks that are there."""
    kind = type(rows[0])
    tasks = {one.task for one in rows}
    kept: list[Row] = [one for one in read(path, kind) if one.task not in tasks]
    table = pa.Table.from_pylist([asdict(one) for one in (*kept, *rows)])
    atomic_write(path, lambda handle: pq.write_table(table, handle, compression="zstd"))


def read(path: Path, kind: type[Row]) -> list[Row]:
    """The rows of a file; none if there is none. Raises RalmError for a file that is no such table."""
    if not path.exists():
        return []
    names = [one.name for one in fields(kind)]
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise RalmError(f"{path} cannot be read as a table ({str(error).splitlines()[0]}).") from None
    if not set(names) <= set(table.schema.names):
        raise RalmError(f"{path} is no table of mixtures: choose another folder, or remove the file.")
    return [
        kind(**{name: _tuple(value) for name, value in row.items()})
        for row in table.select(names).to_pylist()
    ]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
