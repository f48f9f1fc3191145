import faiss
import numpy as np
import pytest

from base.errors import RalmError
from retriever.index import mapped
from retriever.index.faiss_index import SearchIndex
from retriever.index.loading import in_memory, load, on_disk
from tests.vectors import make_store, random_vectors, trained


def test_auto_leaves_on_disk_what_does_not_fit_into_memory(tmp_path, monkeypatch):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50), "IVF4,PQ4x4fs")
    path = store.layout.lists("IVF4,PQ4x4fs", 0)
    load(tmp_path, store.manifest)
    assert not path.exists()
    monkeypatch.setattr(mapped, "available_memory", lambda: 1000)
    load(tmp_path, store.manifest)
    assert path.exists()
    path.unlink()
    monkeypatch.setattr(mapped, "available_memory", lambda: None)
    load(tmp_path, store.manifest)
    assert not path.exists()


@pytest.mark.parametrize("key", ["IVF4,PQ4x4fs", "IVF4,RaBitQfs", "OPQ4,IVF4,PQ4x4fs"])
def test_codes_in_blocks_find_what_faiss_finds_that_added_the_vectors(tmp_path, key):
    data = random_vectors(0, 500, 16)
    store = make_store(tmp_path, np.arange(500), data, key, per_shard=120)
    loaded = in_memory(tmp_path, store.manifest)
    peer = faiss.deserialize_index(np.frombuffer(trained(key, 16), np.uint8))
    peer.add(data.astype(np.float32))
    queries = random_vectors(5, 30, 16).astype(np.float32)
    _, ours = loaded.search(loaded.assign(queries), 20)
    faiss.extract_index_ivf(peer).nprobe = 4
    _, theirs = peer.search(queries, 20)
    # Fast scan rounds its tables to 8 bits: nearly the same rows, in nearly the same order.
    assert np.mean([len({*a} & {*b}) / 20 for a, b in zip(ours, theirs, strict=True)]) > 0.85


def test_what_has_no_lists_is_a_sentence(tmp_path):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50), "HNSW8,SQ8")
    with pytest.raises(RalmError, match="has no lists that could stay on disk"):
        on_disk(tmp_path, store.manifest)


@pytest.mark.parametrize("key", ["Flat", "IVF4,SQ8", "HNSW8,SQ8", "OPQ4_8,IVF4,PQ4x4fs"])
def test_every_row_is_loaded_from_every_shard(tmp_path, key):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50), key)
    index = load(tmp_path, store.manifest)
    assert (index.key.text, index.rows) == (key, 50)
    _, rows = index.search(index.assign(np.ones((1, 8), np.float32)), 50)
    assert sorted(rows[0].tolist()) == list(range(50))


@pytest.mark.parametrize("key", ["Flat", "IVF4,SQ8"])
def test_an_index_of_other_rows_than_the_manifest_says_is_refused(tmp_path, key):
    manifest = make_store(tmp_path, np.arange(20), random_vectors(0, 20), key).manifest
    last = manifest.shards[-1]
    longer = (*manifest.shards[:-1], last.model_copy(update={"rows": last.rows + 1}))
    with pytest.raises(RalmError, match="has 20 rows, the manifest 21"):
        in_memory(tmp_path, manifest.model_copy(update={"shards": longer}))


def test_a_gpu_is_asked_for_lists_alone(tmp_path, monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    flat = make_store(tmp_path / "flat", np.arange(20), random_vectors(0, 20))
    assert isinstance(load(tmp_path / "flat", flat.manifest, device="cuda"), SearchIndex)
    lists = make_store(tmp_path / "lists", np.arange(20), random_vectors(0, 20), "IVF4,SQ8")
    with pytest.raises(RalmError, match="faiss-gpu is not installed"):
        load(tmp_path / "lists", lists.manifest, device="cuda")
