import faiss
import numpy as np
import pytest
import torch

from datastore.errors import RalmError
from retriever import codec, gpu
from retriever.codec import TorchCodec, train
from retriever.gpu import GpuSearchIndex, spread
from retriever.index import SearchIndex, encode, to_bytes, untrained
from retriever.index import train as train_on_cpu
from retriever.sizing import IndexKey

KEYS = [
    "IVF8,PQ4",
    "IVF8,PQ10x4",
    "IVF300,PQ5x4",
    "OPQ4,IVF8,PQ4x4",
    "RR20,IVF8,PQ4",
    "MRL12,IVF8,PQ4",
    "IVF8,SQ8",
    "IVF8,SQfp16",
]
# Bytes that FAISS and torch may give differently: between near equals, sums in another order decide. A GPU
# also rounds centroids, codebooks and residuals to float16.
TIES_ON_CPU, TIES_ON_GPU = 0.0005, 0.01


@pytest.fixture(autouse=True)
def one_thread():
    """Products of this size wait longer for a second thread than they take."""
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


def vectors(rows, seed=0, dimension=20):
    """Float16 vectors of length one, longer on some axes than on others, as embeddings are."""
    found = np.random.default_rng(seed).standard_normal((rows, dimension)) * np.linspace(2, 0.5, dimension)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def made(key, by_residual=True, dimension=20):
    """A trained index, without its training, which is slow: what is learned is drawn from a sample."""
    index = untrained(IndexKey.parse(key), dimension)
    sample = vectors(2000, 7, dimension).astype(np.float32)
    ivf = index
    if isinstance(index, faiss.IndexPreTransform):
        ivf = faiss.downcast_index(index.index)
    if key.startswith("MRL"):
        sample = np.ascontiguousarray(sample[:, : ivf.d])
    elif ivf is not index:
        turning, _ = np.linalg.qr(np.random.default_rng(8).standard_normal((dimension, dimension)))
        step = faiss.downcast_VectorTransform(index.chain.at(0))
        faiss.copy_array_to_vector(turning.astype(np.float32).ravel(), step.A)
        step.is_trained = True
    ivf.by_residual = by_residual
    # Off the grid of float16: halfway between two of its values, FAISS and torch round differently.
    ivf.quantizer.add(sample[: ivf.nlist] * np.float32(0.9137))
    if hasattr(ivf, "pq"):
        words = np.random.default_rng(9).choice(sample, ivf.pq.ksub) / (2 if by_residual else 1)
        words = words.reshape(ivf.pq.ksub, ivf.pq.M, ivf.pq.dsub).transpose(1, 0, 2)
        faiss.copy_array_to_vector(np.ascontiguousarray(words).ravel(), ivf.pq.centroids)
    else:
        ivf.sq.train(sample)
    ivf.is_trained = index.is_trained = True
    return index


@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_codes_are_those_of_faiss(monkeypatch, key, by_residual):
    monkeypatch.setitem(codec._SCORE_BYTES, "cpu", 1 << 18)  # Several blocks.
    index, data = made(key, by_residual), vectors(3001, 1)
    theirs, coder = encode(index, data), TorchCodec(index, "cpu")
    for given in (data, data.astype(np.float32), torch.from_numpy(data)):
        ours = coder.encode(given)
        assert ours.shape == theirs.shape
        assert ours.dtype == np.uint8
        assert np.mean(ours != theirs) <= TIES_ON_CPU


def test_words_of_any_length_are_told_apart():
    for length in (1e-6, 1e6):
        index = made("IVF8,PQ4", by_residual=False)
        faiss.copy_array_to_vector(
            faiss.vector_to_array(index.pq.centroids) * np.float32(length), index.pq.centroids
        )
        data = vectors(500, 1).astype(np.float32) * np.float32(length)
        assert np.mean(TorchCodec(index, "cpu").encode(data) != encode(index, data)) <= TIES_ON_CPU


def test_no_vectors_have_no_codes():
    assert TorchCodec(made("IVF8,PQ4"), "cpu").encode(vectors(0)).shape == (0, 5)


@pytest.mark.parametrize(
    "key", ["IVF8,RaBitQ", "IVF8,SQ6", "Flat", "HNSW8", "L2norm,IVF8,SQ8", "IVF8_HNSW8,SQ8"]
)
def test_what_a_gpu_does_not_encode_is_a_sentence(key):
    index = faiss.index_factory(20, key, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors(500).astype(np.float32))
    with pytest.raises(RalmError, match="--device cpu"):
        TorchCodec(index, "cpu")


@pytest.mark.parametrize("key", ["IVF16,SQ8", "IVF16,PQ2x4fs", "RR20,IVF16,SQ8", "MRL20,IVF16,SQ8"])
def test_training_is_as_good_as_faiss_and_gives_the_same_bytes_again(key):
    data = vectors(3000).astype(np.float32)
    index = train(IndexKey.parse(key), data, "cpu")
    assert to_bytes(index) == to_bytes(train(IndexKey.parse(key), data, "cpu"))
    ivf = faiss.extract_index_ivf(index)
    assert ivf.by_residual == ("fs" not in key)
    peer = faiss.Kmeans(20, 16, niter=10, spherical=True)
    peer.train(data)
    centroids = ivf.quantizer.reconstruct_n(0, 16)
    turned = index.chain.at(0).apply(data) if key.startswith(("RR", "MRL")) else data
    ours, theirs = (turned @ centroids.T).max(1).mean(), (data @ peer.centroids.T).max(1).mean()
    assert ours > 0.99 * theirs
    index.add(data)
    assert ivf.invlists.imbalance_factor() < 2


def test_words_are_learned_as_well_as_by_faiss():
    key, data = IndexKey.parse("IVF4,PQ2x4"), vectors(1500).astype(np.float32)
    indexes = [learn(key, data) for learn in (lambda *a: train(*a, "cpu"), train_on_cpu)]
    ours, theirs = (((i.sa_decode(i.sa_encode(data)) - data) ** 2).sum(1).mean() for i in indexes)
    assert ours < 1.02 * theirs


def test_lists_without_vectors_share_those_of_the_fullest():
    few = np.repeat(np.eye(4, 20, dtype=np.float32), 50, axis=0)
    centroids = codec.train_lists(torch.from_numpy(few), 8)
    assert torch.allclose(centroids.norm(dim=1), torch.ones(8))
    assert (torch.from_numpy(few) @ centroids.T).max(1).values.min() > 0.7
    with pytest.raises(RalmError, match="learns 300 centroids and has only 200"):
        train(IndexKey.parse("IVF300,SQ8"), few, "cpu")
    with pytest.raises(RalmError, match="learns 256 centroids and has only 200"):
        train(IndexKey.parse("IVF4,PQ4"), few, "cpu")


def test_shards_are_spread_over_gpus_by_their_rows():
    sizes = [5, 1, 1, 3, 4, 6]
    shards = [(sum(sizes[:n]), np.zeros((size, 2), np.uint8)) for n, size in enumerate(sizes)]
    for count in (1, 2, 3, 8):
        groups = spread(shards, count)
        assert len(groups) == count
        assert [first for group in groups for first, _ in group] == [first for first, _ in shards]
    assert [sum(len(codes) for _, codes in group) for group in spread(shards, 2)] == [10, 10]
    assert spread([], 2) == [[], []]


def test_codes_are_loaded_in_bulk_each_with_its_row(monkeypatch):
    monkeypatch.setattr(gpu, "_BULK", 10)
    codes = np.random.default_rng(0).integers(0, 256, (60, 3), np.uint8)
    shards = [(100 + at, codes[at:end]) for at, end in ((0, 4), (4, 7), (7, 31), (31, 31), (31, 36))]
    bulks = list(gpu._in_bulk(shards))
    assert max(len(some) for some, _ in bulks) <= 20
    assert (np.concatenate([some for some, _ in bulks]) == codes[:36]).all()
    assert (np.concatenate([rows for _, rows in bulks]) == np.arange(100, 136)).all()


def test_without_faiss_gpu_the_mend_is_named(monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(RalmError, match=r"install ralm\[gpu\]"):
        GpuSearchIndex(made("IVF8,PQ4"), IndexKey.parse("IVF8,PQ4"), [])


@pytest.mark.gpu
@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_codes_from_a_gpu_are_those_of_faiss(monkeypatch, key, by_residual):
    monkeypatch.setitem(codec._SCORE_BYTES, "cuda", 1 << 22)
    monkeypatch.setattr(codec, "_CARGO", 7000)
    index, data = made(key, by_residual), vectors(30_001, 1)
    theirs, coder = encode(index, data), TorchCodec(index, "cuda")
    ours = coder.encode(data)
    assert np.mean(ours != theirs) <= TIES_ON_GPU
    assert (coder.encode(torch.from_numpy(data).cuda()) == ours).all()
    assert (coder.encode(data) == ours).all()


@pytest.mark.gpu
@pytest.mark.parametrize("key", ["IVF256,SQ8", "IVF64,PQ5", "IVF64,PQ5x4fs"])
def test_training_on_a_gpu_gives_the_same_bytes_again(key):
    data = vectors(50_000).astype(np.float32)
    assert to_bytes(train(IndexKey.parse(key), data, "cuda")) == to_bytes(
        train(IndexKey.parse(key), data, "cuda")
    )


def both(key, by_residual=True, rows=20_000):
    """An index in two groups on one GPU or two, and a CPU's, over the same codes."""
    index = made(key, by_residual, dimension=32)
    codes = encode(index, vectors(rows, 2, 32))
    shards = [(at, codes[at : at + 3000]) for at in range(0, rows, 3000)]
    devices = range(min(2, torch.cuda.device_count()))
    on_gpu = GpuSearchIndex(index, IndexKey.parse(key), spread(shards, 2), devices)
    inner = faiss.extract_index_ivf(index)
    inner.add_sa_codes(codes, np.arange(rows))
    index.ntotal = rows
    return on_gpu, SearchIndex(index, IndexKey.parse(key))


@pytest.mark.gpu
@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", ["IVF64,PQ16", "IVF64,PQ16x4", "OPQ8,IVF64,PQ8", "IVF64,SQ8", "IVF64,SQfp16"])
def test_a_gpu_finds_what_a_cpu_finds(monkeypatch, key, by_residual):
    monkeypatch.setattr(gpu, "_BULK", 4000)
    on_gpu, on_cpu = both(key, by_residual)
    queries = vectors(200, 3, 32).astype(np.float32)
    assigned, peer = on_gpu.assign(queries, 8), on_cpu.assign(queries, 8)
    assert np.mean(assigned.lists == peer.lists) > 0.99
    assert np.allclose(assigned.vectors, peer.vectors, atol=1e-5)
    scores, rows = on_gpu.search(assigned, 50)
    expected, theirs = on_cpu.search(peer, 50)
    assert rows.shape == theirs.shape
    assert np.mean([len({*a} & {*b}) / 50 for a, b in zip(rows, theirs, strict=True)]) > 0.97
    # A query may probe another eighth list: float16 rounds centroids.
    assert np.abs(scores - expected).mean() < 0.002
    assert (np.diff(scores, axis=1) <= 0).all()
    one, its = on_gpu.search(on_gpu.assign(queries, 8)[np.array([5])], 50)
    assert (its == rows[5]).mean() > 0.95
    assert np.allclose(one, scores[5], atol=0.01)


@pytest.mark.gpu
def test_where_lists_hold_too_few_rows_the_rest_is_minus_one():
    on_gpu, on_cpu = both("IVF64,PQ16", rows=2000)
    queries = vectors(20, 3, 32).astype(np.float32)
    _, rows = on_gpu.search(on_gpu.assign(queries, 1), 500)
    _, theirs = on_cpu.search(on_cpu.assign(queries, 1), 500)
    assert (rows[:, -1] < 0).any()
    assert ((rows >= 0).sum(1) == (theirs >= 0).sum(1)).all()
    assert (np.diff((rows >= 0).astype(int), axis=1) <= 0).all()


@pytest.mark.gpu
def test_searching_is_safe_between_threads():
    from concurrent.futures import ThreadPoolExecutor

    on_gpu, _ = both("IVF64,PQ16")
    queries = vectors(64, 3, 32).astype(np.float32)
    alone = [on_gpu.search(on_gpu.assign(query[None], 8), 20)[1] for query in queries]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: on_gpu.search(on_gpu.assign(query[None], 8), 20)[1], queries))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


@pytest.mark.gpu
def test_what_a_gpu_cannot_search_goes_to_the_host():
    on_gpu, on_cpu = both("IVF64,PQ16x4", rows=6000)
    on_gpu._load_on_host = lambda: on_cpu
    assigned = on_gpu.assign(vectors(5, 3, 32).astype(np.float32), 64)
    _, rows = on_gpu.search(assigned, 3000)
    assert ((rows >= 0).sum(axis=1) == 3000).all()
    bits = np.packbits(np.arange(6000) % 2 == 0, bitorder="little")
    _, even = on_gpu.search(assigned, 10, faiss.IDSelectorBitmap(bits))
    assert (even % 2 == 0).all()
    assert (even == np.array([row[row % 2 == 0][:10] for row in rows])).mean() > 0.9


@pytest.mark.gpu
def test_what_a_gpu_cannot_search_is_a_sentence():
    on_gpu, _ = both("IVF64,PQ16", rows=3000)
    queries = vectors(2, 3, 32).astype(np.float32)
    assigned = on_gpu.assign(queries, 64)
    with pytest.raises(RalmError, match="without k 2049"):
        on_gpu.search(assigned, 2049)
    with pytest.raises(RalmError, match="without a selector"):
        on_gpu.search(assigned, 10, faiss.IDSelectorAll())
    bits = faiss.index_factory(20, "IVF8,RaBitQ", faiss.METRIC_INNER_PRODUCT)
    bits.train(vectors(500).astype(np.float32))
    shard = (0, encode(bits, vectors(10)))
    with pytest.raises(RalmError, match="has no form on GPUs"):
        GpuSearchIndex(bits, IndexKey.parse("IVF8,RaBitQ"), [[shard]])
