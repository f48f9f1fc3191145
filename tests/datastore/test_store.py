import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.json import write_json
from datastore.store import Datastore
from tests.corpus import documents


def test_every_document_is_there_under_its_identity(store):
    found = {(p.domain, p.doc_id) for p in Datastore.open(store)}
    assert found == {(d["domain"], d["id"]) for d in documents()}


def test_rows_number_the_passages_in_order(store):
    opened = Datastore.open(store)
    passages = list(opened)
    assert len(passages) == opened.rows
    assert [opened.passage(row) for row in range(opened.rows)] == passages
    assert opened.keys(range(opened.rows)).tolist() == [p.key for p in passages]
    assert np.concatenate(list(opened.shard_keys())).tolist() == [p.key for p in passages]


def test_vectors_are_of_unit_length_and_by_row(store):
    opened = Datastore.open(store)
    vectors = opened.vectors([3, 0, 17])
    assert vectors.dtype == np.float16
    assert np.allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=2e-3)
    assert (vectors[1] == opened.vectors([0])[0]).all()


@pytest.mark.parametrize("row", [-1, 10**6])
def test_a_row_outside_is_an_error_not_another_row(store, row):
    opened = Datastore.open(store)
    with pytest.raises(IndexError):
        opened.passage(row)
    with pytest.raises(IndexError):
        opened.vectors([row])


def test_opening_a_store_takes_memory_for_shards_not_passages(store):
    opened = Datastore.open(store)
    opened.keys(range(opened.rows))
    for batch in (shard.passages for shard in opened._shards.values()):
        assert all(not b.is_mutable for column in batch.columns for b in column.buffers() if b)


def test_something_else_in_the_folder_is_no_store(tmp_path):
    write_json(tmp_path / "manifest.json", {"name": "a web app"})
    with pytest.raises(RalmError, match="not a ralm manifest"):
        Datastore.open(tmp_path)
