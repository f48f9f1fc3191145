import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current, publish
from datastore.store import Datastore
from datastore.verify import verify
from tests.conftest import delete, flip
from tests.corpus import documents


def test_a_large_store_opens_by_sizes_and_headers_alone(own_store, monkeypatch):
    monkeypatch.setattr("datastore.opening.FULL_CHECK_BYTES", 0)
    flip(own_store / "vectors/00000.npy")
    Datastore.open(own_store)
    assert any("vectors/00000.npy is corrupted" in problem for problem in verify(own_store))


@pytest.fixture
def large(own_store, monkeypatch):
    """A store that hides two documents, as one that is too large to be read whole when it is opened."""
    delete(own_store, documents()[0]["id"], documents()[-1]["id"])
    monkeypatch.setattr("datastore.opening.FULL_CHECK_BYTES", 0)
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
