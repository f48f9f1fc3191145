import enum

import pytest
import torch

from base.errors import RalmError
from retriever.index.paged import compiled
from retriever.index.paged.scan import Asked, Room
from tests.retriever.index.paged.test_part import part_of


class Status(enum.IntEnum):
    FINE = 0
    BROKEN = 7


def test_what_the_driver_refuses_is_a_sentence():
    assert compiled._checked((Status.FINE,)) is None
    assert compiled._checked((Status.FINE, 5)) == 5
    with pytest.raises(RalmError, match=r"not compiled or started \(BROKEN\)"):
        compiled._checked((Status.BROKEN, 5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_on_a_cpu_it_does_not_scan(dtype):
    part = part_of(50)
    tables = torch.zeros((1, 16, 256), dtype=dtype)
    assert not compiled.fits(part.pages, Asked(tables, torch.zeros((1, 1)), torch.zeros((1, 1))))


@pytest.mark.gpu
@pytest.mark.parametrize("key", ["IVF64,PQ16", "IVF64,PQ1", "IVF64,PQ32x4"])
@pytest.mark.parametrize("masked", [True, False])
def test_it_finds_what_triton_finds_to_the_last_bit(monkeypatch, key, masked):
    from retriever.index.paged import kernels
    from retriever.index.paged.loading import codebook_of
    from retriever.index.paged.part import Part
    from tests.vectors import drawn_index, embeddings

    part = Part(codebook_of(drawn_index(key, dimension=32)).to(torch.device("cuda")), 9000)
    part.add(torch.from_numpy(embeddings(9000, 2, 32)).cuda())
    queries = torch.from_numpy(embeddings(200, 3, 32)).cuda().float()
    lists = torch.arange(200, device="cuda")[:, None] % 44 + torch.arange(20, device="cuda")
    asked = part.asked(queries, lists, torch.rand((200, 20), device="cuda"))
    room: Room = part.room(lists.cpu().numpy())
    bits = torch.randint(-(1 << 31), 1 << 31, (part.pages.used, 4), device="cuda").int() if masked else None
    assert compiled.fits(part.pages, asked)
    ours = kernels.page_maxima(part.pages, asked, room, bits)
    monkeypatch.setattr(compiled, "fits", lambda pages, asked: False)
    assert torch.equal(ours, kernels.page_maxima(part.pages, asked, room, bits))
