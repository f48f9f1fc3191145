import numpy as np
import pytest

from datastore.errors import RalmError
from datastore.generation import current
from datastore.layout import Layout
from datastore.shard import file_problem, open_array, open_passages, open_shard, shard_keys
from datastore.store import Datastore
from tests.conftest import flip


def test_a_shard_is_its_files_and_their_rows_agree(store):
    layout = Layout(store)
    entry = current(layout).shards[0]
    shard = open_shard(layout.root, entry)
    assert shard.passages.num_rows == len(shard.vectors) == entry.rows
    assert shard.alive is None
    assert shard.items.view(np.float16).reshape(shard.vectors.shape).tolist() == shard.vectors.tolist()
    assert shard_keys(shard.passages).tolist() == Datastore.open(store).keys(range(entry.rows)).tolist()
    with pytest.raises(RalmError, match=f"has {entry.rows} rows where the manifest says {entry.rows + 1}"):
        open_shard(layout.root, entry.model_copy(update={"rows": entry.rows + 1}))


def test_what_is_wrong_with_a_file_is_said_with_the_mend(own_store):
    layout = Layout(own_store)
    vectors = current(layout).shards[0].vectors
    path = layout.root / vectors.path
    assert file_problem(layout, vectors, full=True) is None
    flip(path)
    assert file_problem(layout, vectors, full=False) is None
    assert "is corrupted (its checksum differs): restore it" in str(file_problem(layout, vectors, full=True))
    path.write_bytes(b"cut")
    assert "has 3 bytes where the manifest says" in str(file_problem(layout, vectors, full=False))
    path.unlink()
    problem = f"{path} is missing: restore it from a copy, or build again in another folder."
    assert file_problem(layout, vectors, full=False) == problem


@pytest.mark.parametrize("opened", [open_array, open_passages])
def test_a_damaged_file_is_a_sentence(tmp_path, opened):
    (tmp_path / "x").write_bytes(b"neither an array nor passages")
    with pytest.raises(RalmError, match=r"x is damaged .*: restore it from a copy"):
        opened(tmp_path / "x")
