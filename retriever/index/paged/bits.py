"""Rows that count in a search, a bit each: by row as they are given, by slot as a scan reads them.

Sixteen bytes a page are read beside its codes; rows looked up one by one would be half of all that is read.

Decisions: docs/decisions/gpu.md.
"""

import torch

from retriever.index.paged.pages import PAGE

# Pages whose bits are laid out at once.
_AT_ONCE = 1 << 15


def by_slot(ids: torch.Tensor, bits: torch.Tensor, shift: int = 0) -> torch.Tensor:
    """Bits of each page's slots: int32 [pages, 4], the lowest bit of the first word for slot 0.

    `ids` int32 [pages, 128] are rows; row r counts if bit (r + shift) % 8 of byte (r + shift) // 8 of `bits`,
    uint8, is set.
    """
    out = torch.empty((len(ids), PAGE // 32), dtype=torch.int32, device=ids.device)
    places = torch.arange(32, device=ids.device)
    for at in range(0, len(ids), _AT_ONCE):
        rows = (ids[at : at + _AT_ONCE].long() & 0xFFFF_FFFF) + shift
        kept = (bits[rows >> 3] >> (rows & 7).to(torch.uint8)) & 1
        words = (kept.view(len(rows), -1, 32).long() << places).sum(2)
        out[at : at + _AT_ONCE] = words.to(torch.int32)
    return out
