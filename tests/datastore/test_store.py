import numpy as np
import pytest

from datastore.errors import RalmError
from datastore.generation import current, publish
from datastore.layout import Layout, write_json
from datastore.store import Datastore
from datastore.verify import verify
from tests.conftest import delete, flip
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


def test_a_large_store_opens_by_sizes_and_headers_alone(own_store, monkeypatch):
    monkeypatch.setattr("datastore.store.FULL_CHECK_BYTES", 0)
    flip(own_store / "vectors/00000.npy")
    Datastore.open(own_store)
    assert any("vectors/00000.npy is corrupted" in problem for problem in verify(own_store))


@pytest.fixture
def large(own_store, monkeypatch):
    """A store that hides two documents, as one that is too large to be read whole when it is opened."""
    delete(own_store, documents()[0]["id"], documents()[-1]["id"])
    monkeypatch.setattr("datastore.store.FULL_CHECK_BYTES", 0)
    return own_store


@pytest.mark.parametrize("folder", ["deleted", "takedowns", "index/Flat"])
@pytest.mark.parametrize("at", [0, 1, -1])
def test_what_decides_what_is_shown_is_compared_whatever_the_size(large, folder, at):
    path = sorted(path for path in (large / folder).iterdir() if not path.name.startswith("card"))[0]
    flip(path, at)
    with pytest.raises(RalmError, match=f"{path.name} is corrupted"):
        Datastore.open(large)


@pytest.mark.parametrize("change", [{"taken_down": 3}, {"deleted": None}])
def test_as_many_rows_are_hidden_as_the_manifest_says(large, change):
    layout = Layout(large)
    manifest = current(layout)
    shards = tuple(s.model_copy(update=change) if s.taken_down else s for s in manifest.shards)
    publish(layout, manifest.model_copy(update={"shards": shards}))
    with pytest.raises(RalmError, match="other rows are deleted than the manifest counts"):
        Datastore.open(large)
    assert any("manifest counts" in problem or "not the passages" in problem for problem in verify(large))


def test_opening_a_store_takes_memory_for_shards_not_passages(store):
    opened = Datastore.open(store)
    opened.keys(range(opened.rows))
    for batch in (shard.passages for shard in opened._shards.values()):
        assert all(not b.is_mutable for column in batch.columns for b in column.buffers() if b)


def test_something_else_in_the_folder_is_no_store(tmp_path):
    write_json(tmp_path / "manifest.json", {"name": "a web app"})
    with pytest.raises(RalmError, match="not a ralm manifest"):
        Datastore.open(tmp_path)
