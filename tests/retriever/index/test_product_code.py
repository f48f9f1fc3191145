import faiss
import numpy as np
import pytest
import torch

from retriever.index.product_code import ProductCode

pytestmark = pytest.mark.usefixtures("one_thread")


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
