import faiss
import numpy as np
import pytest
import torch

from base.errors import RalmError
from retriever.index import codec, products
from retriever.index.codec import TorchCodec, train
from retriever.index.faiss_index import encode, to_bytes
from retriever.index.faiss_index import train as train_on_cpu
from retriever.index.sizing import IndexKey
from tests.vectors import drawn_index, embeddings

pytestmark = pytest.mark.usefixtures("one_thread")

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


@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_codes_are_those_of_faiss(monkeypatch, key, by_residual):
    monkeypatch.setitem(products._SCORE_BYTES, "cpu", 1 << 18)  # Several blocks.
    index, data = drawn_index(key, by_residual), embeddings(3001, 1)
    theirs, coder = encode(index, data), TorchCodec(index, "cpu")
    for given in (data, data.astype(np.float32), torch.from_numpy(data)):
        ours = coder.encode(given)
        assert ours.shape == theirs.shape
        assert ours.dtype == np.uint8
        assert np.mean(ours != theirs) <= TIES_ON_CPU


def test_words_of_any_length_are_told_apart():
    for length in (1e-6, 1e6):
        index = drawn_index("IVF8,PQ4", by_residual=False)
        faiss.copy_array_to_vector(
            faiss.vector_to_array(index.pq.centroids) * np.float32(length), index.pq.centroids
        )
        data = embeddings(500, 1).astype(np.float32) * np.float32(length)
        assert np.mean(TorchCodec(index, "cpu").encode(data) != encode(index, data)) <= TIES_ON_CPU


def test_no_vectors_have_no_codes():
    assert TorchCodec(drawn_index("IVF8,PQ4"), "cpu").encode(embeddings(0)).shape == (0, 5)


@pytest.mark.parametrize(
    "key", ["IVF8,RaBitQ", "IVF8,SQ6", "Flat", "HNSW8", "L2norm,IVF8,SQ8", "IVF8_HNSW8,SQ8"]
)
def test_what_a_gpu_does_not_encode_is_a_sentence(key):
    index = faiss.index_factory(20, key, faiss.METRIC_INNER_PRODUCT)
    index.train(embeddings(500).astype(np.float32))
    with pytest.raises(RalmError, match="--device cpu"):
        TorchCodec(index, "cpu")


@pytest.mark.parametrize("key", ["IVF16,SQ8", "IVF16,PQ2x4fs", "RR20,IVF16,SQ8", "MRL20,IVF16,SQ8"])
def test_training_is_as_good_as_faiss_and_gives_the_same_bytes_again(key):
    data = embeddings(3000).astype(np.float32)
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
    key, data = IndexKey.parse("IVF4,PQ2x4"), embeddings(1500).astype(np.float32)
    indexes = [learn(key, data) for learn in (lambda *a: train(*a, "cpu"), train_on_cpu)]
    ours, theirs = (((i.sa_decode(i.sa_encode(data)) - data) ** 2).sum(1).mean() for i in indexes)
    assert ours < 1.02 * theirs


def test_what_learns_from_too_few_is_refused():
    few = np.repeat(np.eye(4, 20, dtype=np.float32), 50, axis=0)
    with pytest.raises(RalmError, match="has 300 lists and only 200 passages"):
        train(IndexKey.parse("IVF300,SQ8"), few, "cpu")
    with pytest.raises(RalmError, match="learns 256 codes from only 200"):
        train(IndexKey.parse("IVF4,PQ4"), few, "cpu")


@pytest.mark.gpu
@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_codes_from_a_gpu_are_those_of_faiss(monkeypatch, key, by_residual):
    monkeypatch.setitem(products._SCORE_BYTES, "cuda", 1 << 22)
    monkeypatch.setattr(codec, "_CARGO", 7000)
    index, data = drawn_index(key, by_residual), embeddings(30_001, 1)
    theirs, coder = encode(index, data), TorchCodec(index, "cuda")
    ours = coder.encode(data)
    assert np.mean(ours != theirs) <= TIES_ON_GPU
    assert (coder.encode(torch.from_numpy(data).cuda()) == ours).all()
    assert (coder.encode(data) == ours).all()


@pytest.mark.gpu
@pytest.mark.parametrize("key", ["IVF256,SQ8", "IVF64,PQ5", "IVF64,PQ5x4fs"])
def test_training_on_a_gpu_gives_the_same_bytes_again(key):
    data = embeddings(50_000).astype(np.float32)
    assert to_bytes(train(IndexKey.parse(key), data, "cuda")) == to_bytes(
        train(IndexKey.parse(key), data, "cuda")
    )
