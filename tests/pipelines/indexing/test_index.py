import numpy as np
import pytest

from datastore.shard import open_array
from datastore.store import Datastore
from datastore.verify import verify
from retriever.local import LocalRetriever
from retriever.ranking.setting import Setting
from tests.conftest import build_store
from tests.vectors import dense


def test_an_ivf_index_holds_every_row_and_finds_it(tmp_path, corpus):
    manifest = build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8", passages_per_shard=16)
    store = Datastore.open(tmp_path / "s")
    assert manifest.index.key == "IVF4,SQ8"
    for shard in manifest.shards:
        codes = open_array(tmp_path / "s" / shard.codes.path)
        assert codes.shape == (shard.rows, 384 + 1)
    retriever = LocalRetriever.open(tmp_path / "s")
    queries = store.vectors(range(store.rows)).astype(np.float32)
    _, rows = retriever.index.search(retriever.index.assign(queries), 1)
    assert (rows[:, 0] == np.arange(store.rows)).all()


def test_flat_keeps_no_codes_beside_its_vectors(store):
    manifest = Datastore.open(store).manifest
    assert manifest.index.key == "Flat"
    assert all(shard.codes is None for shard in manifest.shards)
    assert sorted(p.name for p in (store / "index" / "Flat").iterdir()) == ["card.0.json", "trained.faiss"]


@pytest.mark.parametrize("key", ["IVF2,PQ96x4fs", "RR384,IVF2,PQ96x4", "HNSW8,SQ8", "SQ8", "IVF2,RaBitQ"])
def test_every_family_is_built_and_finds_what_it_holds(tmp_path, corpus, key):
    build_store(tmp_path / "s", corpus, index_key=key, passages_per_shard=16)
    assert verify(tmp_path / "s") == []
    retriever = LocalRetriever.open(tmp_path / "s")
    texts = [passage.text for passage in retriever.store]
    hits = retriever.search(texts, dense(1, setting=Setting(min(2, retriever.index.nlist), 20)))
    assert [ranking.hits[0].passage.text for ranking in hits] == texts
