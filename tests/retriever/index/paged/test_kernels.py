import numpy as np
import pytest
import torch

from retriever.index.paged import scan
from retriever.index.paged.loading import codebook_of
from retriever.index.paged.part import Part
from tests.vectors import drawn_index, embeddings

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", ["IVF64,PQ16", "IVF64,PQ16x4", "IVF64,PQ6", "IVF64,PQ1"])
def test_kernels_find_what_pytorch_finds(key, by_residual):
    from retriever.index.paged import kernels

    dimension = 24
    key = key.replace("PQ16", "PQ12")
    codebook = codebook_of(drawn_index(key, by_residual, dimension)).to(torch.device("cuda"))
    found = []
    vectors = torch.from_numpy(embeddings(9000, 2, dimension)).cuda()
    queries = torch.from_numpy(embeddings(300, 3, dimension).astype(np.float32)).cuda()
    lists = torch.from_numpy(np.random.default_rng(1).permuted(np.tile(np.arange(64), (300, 1)), axis=1))
    kept = np.packbits(np.random.default_rng(2).random(9000) < 0.3, bitorder="little")
    for way in (scan, kernels):
        part = Part(codebook, 9000, kernels=way)
        for some in vectors.split(2000):
            part.add(some)
        for count, probes in ((300, 20), (3, 5)):
            probed = lists[:count, :probes].contiguous()
            asked = part.asked(queries[:count], probed.cuda(), torch.rand((count, probes), device="cuda") * 0)
            for bits in (None, part.bits(kept)):
                found.append(part.search(asked, 40, part.room(probed.numpy()), bits))
    half = len(found) // 2
    for (scores, rows), (others, theirs) in zip(found[:half], found[half:], strict=True):
        # Codes may differ where two words are as near.
        assert (rows == theirs).float().mean() > 0.98
        assert ((scores - others).abs().nan_to_num() < 1e-3).float().mean() > 0.98
