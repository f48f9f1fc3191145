from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.errors import RalmError
from pipelines.evaluate.mixtures.tables import Compared, Mixture, Used, read, write

MIXTURE = Mixture("web", "success", 5, "drawn", 0.5, 10, 0, 100, "abc", ("a", "b"), (60, 40), (1.0, 0.5))


@pytest.mark.parametrize(
    "row", [MIXTURE, Compared("web", "natural", 1, "q1", 3, 1.0), Used("web", "q1", 1, "a", "doc", 0, True)]
)
def test_rows_are_read_as_they_were_written(tmp_path, row):
    path = tmp_path / "rows.parquet"
    assert read(path, type(row)) == []
    write(path, [row, row])
    assert read(path, type(row)) == [row, row]


def test_another_task_is_kept_and_the_same_one_replaced(tmp_path):
    path = tmp_path / "mixtures.parquet"
    write(path, [MIXTURE])
    write(path, [replace(MIXTURE, task="other")])
    write(path, [replace(MIXTURE, value=0.7)])
    assert {one.task: one.value for one in read(path, Mixture)} == {"other": 0.5, "web": 0.7}


def test_what_is_no_such_table_is_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(RalmError, match="cannot be read as a table"):
        read(tmp_path / "text.parquet", Mixture)
    pq.write_table(pa.table({"task": ["web"]}), tmp_path / "other.parquet")
    with pytest.raises(RalmError, match="is no table of mixtures"):
        read(tmp_path / "other.parquet", Mixture)
