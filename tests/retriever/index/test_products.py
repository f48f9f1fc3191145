import faiss
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retriever.index import products
from retriever.index.products import ProductCode, nearest_centroids, rows_at_once, train_lists, train_words

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(rows, dimension, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, dimension), np.float32))


def test_lists_without_vectors_share_those_of_the_fullest():
    few = torch.from_numpy(np.repeat(np.eye(4, 20, dtype=np.float32), 50, axis=0))
    centroids = train_lists(few, 8)
    assert torch.allclose(centroids.norm(dim=1), torch.ones(8))
    assert (few @ centroids.T).max(1).values.min() > 0.7


def test_words_without_vectors_share_those_of_the_fullest():
    few = torch.from_numpy(np.repeat(np.eye(2, 3, dtype=np.float32), 8, axis=0))
    words = train_words(few, 4)
    assert torch.isfinite(words).all()
    assert torch.cdist(few, words).min(1).values.max() < 0.01


@given(rows=st.integers(1, 200), count=st.integers(1, 20), seed=st.integers(0, 99))
def test_the_nearest_centroid_has_the_largest_product(rows, count, seed):
    vectors, centroids = drawn(rows, 8, seed), drawn(count, 8, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(products._SCORE_BYTES, "cpu", 4 * count * 7)  # Several blocks.
        assert rows_at_once(count, vectors.device) == 7
        found = nearest_centroids(vectors, centroids)
    scores = vectors @ centroids.T
    assert torch.allclose(scores.gather(1, found[:, None])[:, 0], scores.max(1).values)


@pytest.mark.parametrize("width", [1, 1000, 1 << 40])
def test_at_least_a_row_is_scored_at_once_and_no_more_than_a_block(width):
    assert 1 <= rows_at_once(width, torch.device("cpu")) <= products._LARGEST_BLOCK


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize(("parts", "bits"), [(4, 8), (4, 4), (3, 4)])
def test_codes_are_those_of_faisss_product_quantizer(parts, bits, length):
    random = np.random.default_rng(0)
    vectors = (length * random.standard_normal((2000, 12))).astype(np.float32)
    pq = faiss.ProductQuantizer(12, parts, bits)
    words = vectors[: pq.ksub].reshape(-1, parts, 12 // parts).transpose(1, 0, 2)
    faiss.copy_array_to_vector(np.ascontiguousarray(words).ravel(), pq.centroids)
    codes = ProductCode(torch.from_numpy(np.ascontiguousarray(words)))
    assert codes.width == parts * pq.ksub
    assert (codes(torch.from_numpy(vectors)).numpy() == pq.compute_codes(vectors)).mean() > 0.999
