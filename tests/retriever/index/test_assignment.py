import pytest
import torch

from retriever.index import assignment
from retriever.index.products import product


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_on_a_cpu_no_kernel_takes_them(dtype):
    assert not assignment.fits(torch.zeros((3, 64), dtype=dtype), torch.zeros((256, 64), dtype=dtype))


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("rows", "lists", "dimension", "fits"),
    [(5, 256, 64, True), (1000, 1024, 384, True), (7, 100, 64, False), (7, 256, 60, False)],
)
def test_the_nearest_has_the_largest_product(rows, lists, dimension, fits):
    torch.manual_seed(rows)
    vectors = torch.randn((rows, dimension), device="cuda").half()
    centroids = torch.randn((lists, dimension), device="cuda").half()
    centroids[lists // 2] = centroids[3]  # Equal ones: the first.
    assert assignment.fits(vectors, centroids) == fits
    if fits:
        scores = product(vectors, centroids.T)
        found = assignment.nearest(vectors, centroids)
        assert torch.allclose(scores.gather(1, found[:, None])[:, 0], scores.max(1).values, atol=1e-2)
        assert (found == scores.argmax(1)).float().mean() > 0.99
        assert not (found == lists // 2).any()
        assert assignment.nearest(vectors[:0], centroids).shape == (0,)
