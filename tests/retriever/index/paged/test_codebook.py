import faiss
import numpy as np
import pytest
import torch

from retriever.index.faiss_index import encode
from retriever.index.paged.loading import codebook_of
from tests.vectors import drawn_index, embeddings

pytestmark = pytest.mark.usefixtures("one_thread")
KEYS = ["IVF64,PQ16", "IVF64,PQ16x4", "IVF64,PQ8x4", "IVF300,PQ2"]


@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_codes_and_lists_are_faisss(key, by_residual):
    index = drawn_index(key, by_residual, dimension=32)
    codebook, vectors = codebook_of(index), embeddings(3000, 2, 32)
    theirs = encode(index, vectors)
    here = torch.from_numpy(vectors)
    lists = codebook.assign(here)
    width = theirs.shape[1] - codebook.code_bytes
    number = sum(theirs[:, n].astype(np.int64) << (8 * n) for n in range(width))
    assert (lists.numpy() == number).all()
    codes = np.concatenate([theirs[:, :width], codebook.encode(here, lists).numpy()], axis=1)
    # Of words that are drawn twice either will do.
    assert (index.sa_decode(codes) == index.sa_decode(theirs)).mean() > 0.999


@pytest.mark.parametrize("key", [*KEYS, "IVF64,PQ32x4"])
def test_tables_add_up_to_products_with_what_codes_stand_for(key):
    index = drawn_index(key, by_residual=False, dimension=32)
    codebook, vectors = codebook_of(index), embeddings(50, 2, 32).astype(np.float32)
    queries = embeddings(7, 3, 32).astype(np.float32)
    codes = index.sa_encode(vectors)
    bodies = np.zeros((50, 4 * codebook.columns), np.uint8)
    bodies[:, : codebook.code_bytes] = codes[:, codes.shape[1] - codebook.code_bytes :]
    tables = codebook.tables(torch.from_numpy(queries), torch.float32)
    assert tables.shape == (7, 4 * codebook.columns, 256)
    sums = tables[:, torch.arange(bodies.shape[1]), torch.from_numpy(bodies).long()].sum(2)
    assert np.allclose(sums, queries @ index.sa_decode(codes).T, atol=1e-5)
    assert not tables[:, codebook.code_bytes :].any()


def test_a_querys_table_does_not_depend_on_its_batch():
    codebook = codebook_of(drawn_index("IVF64,PQ16", dimension=32))
    queries = torch.from_numpy(embeddings(40, 3, 32).astype(np.float32))
    together = codebook.tables(queries, torch.float32)
    for n in (0, 17, 39):
        assert torch.equal(codebook.tables(queries[n : n + 1], torch.float32)[0], together[n])


def test_words_are_filled_up_with_zeros_and_scaled():
    index = drawn_index("IVF64,PQ16", dimension=32)
    codebook = codebook_of(index)
    words, halves = codebook.padded(4)
    theirs = faiss.vector_to_array(index.pq.centroids).reshape(16, 256, 2) * codebook.scale
    assert words.shape == (16, 4, 256)
    assert np.allclose(words[:, :2].transpose(1, 2), theirs)
    assert not words[:, 2:].any()
    assert np.allclose(halves, (theirs**2).sum(2) / 2)
