import faiss
import numpy as np
import pytest

from base.errors import RalmError
from retriever.index.faiss_index import SearchIndex, encode, read_trained, to_bytes, train, training_sample
from retriever.index.sizing import IndexKey


def vectors(rows, dimension=16, seed=0):
    found = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_encoding_shard_by_shard_is_adding_all_at_once():
    data = vectors(1000).astype(np.float16)
    whole = train(IndexKey.parse("IVF8,SQ8"), data.astype(np.float32))
    codes = np.concatenate([encode(whole, data[:400]), encode(whole, data[400:], block=77)])
    parts = read_trained_copy(whole)
    parts.add_sa_codes(codes, np.arange(1000))
    whole.add_with_ids(data.astype(np.float32), np.arange(1000))
    queries = vectors(20, seed=1)
    for one, other in zip(whole.search(queries, 10), parts.search(queries, 10), strict=True):
        assert (one == other).all()


def read_trained_copy(index):
    return faiss.deserialize_index(faiss.serialize_index(index))


def test_training_gives_the_same_bytes_again():
    data = vectors(2000)
    key = IndexKey.parse("IVF16,SQ8")
    assert to_bytes(train(key, data)) == to_bytes(train(key, data))


def test_codes_are_numbered_without_annealing_and_find_the_same():
    """FAISS's factory asks for it, and most of training went into it."""
    data, queries = vectors(600), vectors(20, seed=1)
    plain = train(IndexKey.parse("IVF4,PQ4x4"), data)
    annealed = faiss.index_factory(16, "IVF4,PQ4x4", faiss.METRIC_INNER_PRODUCT)
    assert (plain.do_polysemous_training, annealed.do_polysemous_training) == (False, True)
    annealed.train(data)
    found = []
    for index in (plain, annealed):
        index.add(data)
        index.nprobe = 4
        found.append(index.search(queries, 30))
    for one, other in zip(*found, strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("text", ["PQ4x4fs", "OPQ4,PQ4x4fs", "IVF4,PQ4x4fsr", "PQ4x4", "IVF4_HNSW8,PQ4x4fs"])
def test_any_index_of_product_codes_can_be_trained(text):
    assert train(IndexKey.parse(text), vectors(600)).is_trained


def test_more_lists_than_passages_is_a_sentence():
    with pytest.raises(RalmError, match="100 lists and only 50 passages"):
        train(IndexKey.parse("IVF100,SQ8"), vectors(50))


def test_a_damaged_index_file_is_named(tmp_path):
    (tmp_path / "trained.faiss").write_bytes(b"not an index")
    with pytest.raises(RalmError, match=r"trained\.faiss is not a FAISS index"):
        read_trained(tmp_path / "trained.faiss")


def test_flat_finds_what_an_exhaustive_search_finds():
    data = vectors(500)
    index = train(IndexKey.parse("Flat"), data)
    index.add_sa_codes(data.astype(np.float16).view(np.uint8))
    queries = vectors(50, seed=2)
    search = SearchIndex(index, IndexKey.parse("Flat"))
    scores, rows = search.search(search.assign(queries), 10)
    exact = queries @ data.astype(np.float16).astype(np.float32).T
    assert np.allclose(scores, -np.sort(-exact, axis=1)[:, :10], atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert rows.shape == (50, 10)


@pytest.mark.parametrize("key", ["PCA12,RR12,IVF8,SQ8", "OPQ4,IVF8,SQ8", "PCA12,RR12,SQ8"])
def test_a_query_goes_through_all_the_transforms_that_vectors_went_through(key):
    data = vectors(1000)
    index = train(IndexKey.parse(key), data)
    index.add(data)
    search = SearchIndex(index, IndexKey.parse(key))
    for found, expected in zip(
        search.search(search.assign(data[:50]), 5),
        index.search(
            data[:50],
            5,
            params=faiss.SearchParametersPreTransform(
                index_params=faiss.SearchParametersIVF(nprobe=8) if "IVF" in key else None
            ),
        ),
        strict=True,
    ):
        assert np.allclose(found, expected, atol=1e-5)


def test_nprobe_is_per_request():
    data = vectors(1000)
    index = train(IndexKey.parse("IVF32,SQ8"), data)
    index.add_with_ids(data, np.arange(1000))
    search = SearchIndex(index, IndexKey.parse("IVF32,SQ8"))
    queries = vectors(5, seed=3)
    few, _ = search.search(search.assign(queries, 1), 200)
    many, rows = search.search(search.assign(queries, 32), 200)
    again, _ = search.search(search.assign(queries, 1), 200)
    assert (rows >= 0).all()
    assert (few == again).all()
    assert (many.sum(axis=1) > few[few > -1e30].sum() / 5).any()


def test_the_training_sample_does_not_depend_on_the_shards():
    data = vectors(300).astype(np.float16)
    hashes = np.random.default_rng(4).integers(0, 2**64, 300, dtype=np.uint64)
    whole = training_sample([(hashes, data)], 100, 300)
    parts = training_sample([(hashes[:90], data[:90]), (hashes[90:], data[90:])], 100, 300)
    assert (whole == parts).all()
    assert 60 < len(whole) < 140
    assert len(training_sample([(hashes, data)], 1000, 300)) == 300


def test_many_lists_are_trained_in_two_levels(monkeypatch):
    monkeypatch.setattr("retriever.index.faiss_index._TWO_LEVEL_LISTS", 8)
    index = train(IndexKey.parse("IVF16,SQ8"), vectors(1000))
    centroids = index.quantizer.reconstruct_n(0, 16)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
    index.add(vectors(1000))
    assert index.invlists.imbalance_factor() < 4
    with pytest.raises(RalmError, match="learns 256 codes from only 100 passages"):
        train(IndexKey.parse("IVF4,PQ4"), vectors(100))
    # How many a factory string learns, FAISS alone knows.
    with pytest.raises(RalmError, match="PQ4 learns more codes than the 100 passages"):
        train(IndexKey.parse("PQ4"), vectors(100))
    with pytest.raises(RalmError, match="leave out one"):
        train(IndexKey.parse("OPQ4,IVF16,PQ4"), vectors(1000))
    with pytest.raises(RalmError, match="leave out one"):
        train(IndexKey.parse("RR16,RR16,IVF16,SQ8"), vectors(1000))


def test_a_rotation_of_few_points_warns_of_nothing_and_is_what_faiss_learns(capfd):
    data = vectors(300)
    index = train(IndexKey.parse("OPQ4,IVF4,PQ4x4fs"), data)
    assert "WARNING" not in "".join(capfd.readouterr())
    step = faiss.downcast_VectorTransform(index.chain.at(0))
    peer = faiss.OPQMatrix(16, 4)
    peer.train(data)
    assert (faiss.vector_to_array(step.A) == faiss.vector_to_array(peer.A)).all()
    assert step.pq is None
