"""The tables of a study: what is written is read, whole, and of the same study."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from pipelines.evaluate.tables import QUESTIONS, RESULTS, Basis, Cell, Result, Tables, Values

WHOLE = Cell(1.0, 0, 5, "dense")
PART = Cell(0.1, 2, 5, "dense", domains="books", where="year>=2010", filter="overlap", reranker="small")
READ = dataclasses.replace(PART, reader="r", quantization="nf4", adapter="a", conditioning="prepend")


def result(cell: Cell, metric: str = "success", value: float = 0.5) -> Result:
    basis = Basis("m", "e", "v", 10, 200, 1, 2, 3, reader_parameters=135_000_000, joules=0.25)
    return Result(
        "squad", "retrieval", metric, "share", "higher", value, value - 0.1, value + 0.1, 4, cell, basis
    )


def values(cell: Cell, metric: str = "success", held: bool = True) -> Values:
    n = 3
    of_passages = np.array([True, False, True]) if held else None
    ids = tuple(f"q{number}" for number in range(n))
    weights = None if held else np.arange(1.0, n + 1)
    return Values("squad", cell.id, metric, ids, np.arange(n), np.linspace(0, 1, n), of_passages, weights)


def same(one: Values, other: Values) -> bool:
    held = [None if x.held is None else x.held.tolist() for x in (one, other)]
    arrays = [[x.clusters.tolist(), x.values.tolist(), x.weighted.tolist()] for x in (one, other)]
    return (one.key, one.questions, arrays[0], held[0]) == (other.key, other.questions, arrays[1], held[1])


def test_what_is_written_is_read(tmp_path):
    written = Tables("a-study").merged(
        [result(WHOLE), result(PART), result(READ)], [values(WHOLE), values(READ, held=False)]
    )
    written.write(tmp_path)
    found = Tables.read(tmp_path, "a-study")
    assert found.results == written.results
    assert len(found.questions) == 2
    assert all(map(same, found.questions, written.questions))
    assert Tables.read(tmp_path).study == "a-study"


def test_a_row_has_every_axis_and_what_it_rests_on_as_columns(tmp_path):
    Tables("a-study").merged([result(READ)], [values(READ)]).write(tmp_path)
    (row,) = pq.read_table(tmp_path / RESULTS).to_pylist()
    axes = dataclasses.asdict(READ)
    assert {name: row[name] for name in axes} == axes
    assert (row["cell"], row["manifest"], row["reader_parameters"]) == (READ.id, "m", 135_000_000)
    asked = pq.read_table(tmp_path / QUESTIONS).to_pylist()
    assert asked[1] == {
        **{"task": "squad", "cell": READ.id, "metric": "success", "question": "q1"},
        **{"cluster": 1, "value": 0.5, "weight": 1.0, "held": False},
    }


def test_what_is_measured_again_takes_the_place_of_what_was(tmp_path):
    first = Tables("s").merged([result(WHOLE), result(PART)], [values(WHOLE)])
    second = first.merged([result(PART, value=0.7)], [])
    assert [one.value for one in second.results if one.cell == PART] == [0.7]
    assert len(second.results) == 2
    assert second.has(result(PART).key)
    assert not second.has(result(READ).key)


def test_tables_of_no_rows_are_tables(tmp_path):
    Tables("s").write(tmp_path)
    assert Tables.read(tmp_path, "s") == Tables("s")


def test_a_file_of_another_study_is_refused_with_both_hashes(tmp_path):
    Tables("one").merged([result(WHOLE)], []).write(tmp_path)
    with pytest.raises(RalmError, match=r"results\.parquet is of the study one, this one is other: choose"):
        Tables.read(tmp_path, "other")
    other = tmp_path / "other"
    Tables("other").write(other)
    (other / QUESTIONS).rename(tmp_path / QUESTIONS)
    with pytest.raises(RalmError, match=r"questions\.parquet is of the study other, this one is one"):
        Tables.read(tmp_path)


def test_what_is_no_table_of_a_study_is_said(tmp_path):
    with pytest.raises(RalmError, match=r"There is no results\.parquet in "):
        Tables.read(tmp_path)
    (tmp_path / RESULTS).write_text("rows")
    with pytest.raises(RalmError, match="cannot be read as a table"):
        Tables.read(tmp_path)
    Tables("s").write(tmp_path)
    bare = pq.read_table(tmp_path / RESULTS).replace_schema_metadata({})
    pq.write_table(bare, tmp_path / RESULTS)
    with pytest.raises(RalmError, match="is no table of a study"):
        Tables.read(tmp_path)


@given(
    st.builds(Cell, st.floats(0, 1), st.integers(0, 9), st.integers(0, 9), st.text(max_size=3)),
    st.builds(Cell, st.floats(0, 1), st.integers(0, 9), st.integers(0, 9), st.text(max_size=3)),
)
def test_cells_have_the_same_name_if_they_are_the_same(one, other):
    assert (one.id == other.id) == (one == other)
