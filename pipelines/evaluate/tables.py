"""A study's two tables: `results.parquet`, a row a figure; `questions.parquet`, a row a question's value.

Both are tidy: a column for each axis, and for all that a figure rests on. Knows no metric, search or reader.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.files.writing import atomic_write

RESULTS, QUESTIONS = "results.parquet", "questions.parquet"
Kind = Literal["retrieval", "questions", "perplexity"]
# Of both files: which study they are of.
_STUDY = b"ralm.study"


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of a study's axes; what is left out is empty.

    `fraction` 0 is the LM alone, for which k is 0. `k` is the depth of a retrieval metric, or how many
    passages are put to a reader. `domains` and `where` are written with commas. `filter` and `reranker` are
    what follows the search. Without a reader a cell is one of retrieval.
    """

    fraction: float
    seed: int = 0
    k: int = 0
    method: str = ""
    domains: str = ""
    where: str = ""
    filter: str = ""
    reranker: str = ""
    reader: str = ""
    quantization: str = ""
    adapter: str = ""
    conditioning: str = ""

    @property
    def id(self) -> str:
        """Its name in both tables: a hash of the combination, 16 hexadecimal digits."""
        return xxhash.xxh3_64_hexdigest(orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS))


@dataclass(frozen=True, slots=True)
class Basis:
    """What a figure rests on, beside its cell.

    The store's `manifest` and `encoder`, the `view`'s hash, and how many passages and tokens (of the encoder)
    that keeps. `index_bytes`, `vector_bytes` and `text_bytes` are what the view's passages take as codes in
    memory, stored vectors and text. `reader_bytes` were measured as the reader was loaded, `reader_bits` are
    those of a weight, `reader_training_tokens` what somebody says that it learnt from. `prompt_tokens` and
    `answer_tokens` are means over questions; `joules` a question are None where nothing was metered,
    `seconds` are those of all questions together.
    """

    manifest: str = ""
    encoder: str = ""
    view: str = ""
    passages: int = 0
    tokens: int = 0
    index_bytes: int = 0
    vector_bytes: int = 0
    text_bytes: int = 0
    encoder_parameters: int | None = None
    reader_bytes: int | None = None
    reader_parameters: int | None = None
    reader_bits: float | None = None
    reader_training_tokens: int | None = None
    prompt_tokens: float | None = None
    answer_tokens: float | None = None
    joules: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A figure of one task in one cell: a mean over n questions (or texts) with its 95% interval.

    `value`, `low` and `high` are in the metric's own `unit`: shares lie between 0 and 1. `better` is where
    better values lie, "higher" or "lower"; empty of what is neither.
    """

    task: str
    kind: Kind
    metric: str
    unit: str
    better: str
    value: float
    low: float
    high: float
    n: int
    cell: Cell
    basis: Basis = field(default_factory=Basis)

    @property
    def key(self) -> tuple[str, str, str]:
        """What is measured once: task, cell and metric."""
        return self.task, self.cell.id, self.metric


@dataclass(frozen=True, slots=True)
class Values:
    """What a metric is of each question (or text) of a task in one cell: all arrays are [questions].

    `clusters` number questions that depend on each other. `held`: whether the passages held the answer; None
    where nobody knows. `weights` are what each counts in the mean: all alike (None) of questions, tokens or
    bytes of texts.
    """

    task: str
    cell: str
    metric: str
    questions: tuple[str, ...]
    clusters: NDArray[np.int64]
    values: NDArray[np.float64]
    held: NDArray[np.bool_] | None = None
    weights: NDArray[np.float64] | None = None

    @property
    def weighted(self) -> NDArray[np.float64]:
        """What each counts in the mean [questions]."""
        return np.ones(len(self.values)) if self.weights is None else self.weights

    @property
    def key(self) -> tuple[str, str, str]:
        """What is measured once: task, cell and metric."""
        return self.task, self.cell, self.metric


@dataclass(frozen=True)
class Tables:
    """Both tables of a study, whose hash is `study`; no key occurs twice in either."""

    study: str
    results: tuple[Result, ...] = ()
    questions: tuple[Values, ...] = ()

    def has(self, key: tuple[str, str, str]) -> bool:
        """Whether a task's metric is there for a cell."""
        return key in self._keys

    @cached_property
    def _keys(self) -> frozenset[tuple[str, str, str]]:
        """What is there: asked of every cell of a study, and each is a hash."""
        return frozenset(one.key for one in self.results)

    def merged(self, results: Iterable[Result], questions: Iterable[Values]) -> "Tables":
        """These and others, which take the place of those of the same key; in the order of keys."""
        mine = {one.key: one for one in (*self.results, *results)}
        values = {one.key: one for one in (*self.questions, *questions)}
        return Tables(
            self.study,
            tuple(sorted(mine.values(), key=_order)),
            tuple(values[key] for key in sorted(values)),
        )

    def write(self, folder: Path) -> None:
        """Write both files, each whole or not at all; the one of questions first, which results stand on."""
        _write(folder / QUESTIONS, _of_values(self.questions), self.study)
        _write(folder / RESULTS, _of_results(self.results), self.study)

    @classmethod
    def read(cls, folder: Path, study: str | None = None) -> "Tables":
        """The tables of a folder; without `study`, those of any study.

        Raises RalmError if there are none, or, naming both hashes, if they are of another study.
        """
        results, of_results = _read(folder / RESULTS, _RESULTS)
        values, of_values = _read(folder / QUESTIONS, _VALUES)
        for path, found in ((folder / RESULTS, of_results), (folder / QUESTIONS, of_values)):
            if found != (of_results if study is None else study):
                raise RalmError(
                    f"{path} is of the study {found}, this one is {study or of_results}: choose another "
                    "folder, or remove the files of the other study."
                )
        return cls(of_results, tuple(_results(results)), tuple(_values(values)))


def _order(one: Result) -> tuple[Any, ...]:
    cell = one.cell
    return (
        *(one.task, one.kind, cell.reader, cell.adapter, cell.quantization, cell.conditioning),
        *(cell.domains, cell.where, cell.filter, cell.reranker, cell.method, one.metric, cell.k),
        *(cell.fraction, cell.seed),
    )


def _schema(columns: Mapping[str, Any], nullable: Collection[str]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()])


_TEXT, _WHOLE, _NUMBER = pa.string(), pa.int64(), pa.float64()
_CELL = dict.fromkeys((one.name for one in fields(Cell)), _TEXT) | {
    "fraction": _NUMBER,
    "seed": _WHOLE,
    "k": _WHOLE,
}
_BASIS = dict.fromkeys((one.name for one in fields(Basis)), _WHOLE) | {
    **dict.fromkeys(("manifest", "encoder", "view"), _TEXT),
    **dict.fromkeys(("reader_bits", "prompt_tokens", "answer_tokens", "joules", "seconds"), _NUMBER),
}
_RESULTS = _schema(
    {
        **dict.fromkeys(("task", "kind", "metric", "unit", "better"), _TEXT),
        **dict.fromkeys(("value", "low", "high"), _NUMBER),
        "n": _WHOLE,
        "cell": _TEXT,
        **_CELL,
        **_BASIS,
    },
    nullable=[one.name for one in fields(Basis) if one.default is None],
)
_VALUES = _schema(
    {
        **dict.fromkeys(("task", "cell", "metric", "question"), _TEXT),
        "cluster": _WHOLE,
        **dict.fromkeys(("value", "weight"), _NUMBER),
        "held": pa.bool_(),
    },
    nullable=("held",),
)


def _of_results(results: Sequence[Result]) -> pa.Table:
    rows = [asdict(one) | {"cell": one.cell.id} | asdict(one.cell) | asdict(one.basis) for one in results]
    return pa.Table.from_pylist(rows, _RESULTS)


def _of_values(questions: Sequence[Values]) -> pa.Table:
    return pa.concat_tables([_VALUES.empty_table(), *map(_of_one, questions)])


def _of_one(one: Values) -> pa.Table:
    n = len(one.questions)
    columns = [
        *(pa.array([name] * n, pa.string()) for name in (one.task, one.cell, one.metric)),
        pa.array(one.questions, pa.string()),
        pa.array(one.clusters, pa.int64()),
        pa.array(one.values, pa.float64()),
        pa.array(one.weighted, pa.float64()),
        pa.nulls(n, pa.bool_()) if one.held is None else pa.array(one.held, pa.bool_()),
    ]
    return pa.Table.from_arrays(columns, schema=_VALUES)


def _write(path: Path, table: pa.Table, study: str) -> None:
    named = table.replace_schema_metadata({_STUDY: study.encode()})
    atomic_write(path, lambda handle: pq.write_table(named, handle, compression="zstd"))


def _read(path: Path, schema: pa.Schema) -> tuple[pa.Table, str]:
    """A table and the hash of its study. Raises RalmError for a file that is none of a study."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise RalmError(f"There is no {path.name} in {path.parent}.") from None
    except (OSError, pa.ArrowException) as error:
        raise RalmError(f"{path} cannot be read as a table ({str(error).splitlines()[0]}).") from None
    study = (table.schema.metadata or {}).get(_STUDY)
    if study is None or not set(schema.names) <= set(table.schema.names):
        raise RalmError(f"{path} is no table of a study: choose another folder, or remove the file.")
    return table.select(schema.names), study.decode()


def _results(table: pa.Table) -> Iterable[Result]:
    of_cell, of_basis = ([one.name for one in fields(record)] for record in (Cell, Basis))
    for row in table.to_pylist():
        cell = Cell(**{name: row.pop(name) for name in of_cell})
        basis = Basis(**{name: row.pop(name) for name in of_basis})
        yield Result(**(row | {"cell": cell, "basis": basis}))  # In place of the cell's id.


def _values(table: pa.Table) -> Iterable[Values]:
    """Rows of one task, cell and metric, which stand together, as arrays."""
    names = [table[name].to_pylist() for name in ("task", "cell", "metric")]
    start = 0
    for (task, cell, metric), some in groupby(zip(*names, strict=True)):
        rows = table.slice(start, count := sum(1 for _ in some))
        start += count
        yield Values(
            *(task, cell, metric, tuple(rows["question"].to_pylist())),
            clusters=rows["cluster"].to_numpy(),
            values=rows["value"].to_numpy(),
            weights=rows["weight"].to_numpy(),
            held=None if rows["held"].null_count else rows["held"].to_numpy().astype(bool),
        )
