import numpy as np

from datastore.store import Datastore, open_array
from retriever.search import Retriever
from tests.conftest import build_store


def test_an_ivf_index_holds_every_row_and_finds_it(tmp_path, corpus):
    manifest = build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8", passages_per_shard=16)
    store = Datastore.open(tmp_path / "s")
    assert (manifest.index.key, manifest.index.nprobe) == ("IVF4,SQ8", 4)
    for shard in manifest.shards:
        codes = open_array(tmp_path / "s" / shard.codes.path)
        assert codes.shape == (shard.rows, 384 + 1)
    retriever = Retriever.open(tmp_path / "s")
    queries = store.vectors(range(store.rows)).astype(np.float32)
    _, rows = retriever.index.search(queries, 1)
    assert (rows[:, 0] == np.arange(store.rows)).all()


def test_flat_keeps_no_codes_beside_its_vectors(store):
    manifest = Datastore.open(store).manifest
    assert manifest.index.key == "Flat"
    assert all(shard.codes is None for shard in manifest.shards)
    assert sorted(p.name for p in (store / "index" / "Flat").iterdir()) == ["trained.faiss"]
