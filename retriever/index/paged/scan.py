"""Scores of pages in plain PyTorch: what the kernels compute, on any device.

A row's score adds its bytes up in their order, wherever the row lies and whatever is searched with it: so a
view finds what a store built of its rows alone finds, score for score.

Decisions: docs/decisions/gpu.md.
"""

from dataclasses import dataclass

import torch

from retriever.index.paged.codebook import Codebook
from retriever.index.paged.pages import PAGE, Pages, Placement

# Scores held at once.
_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries: tables [n, bytes, 256], lists int64 [n, p], what each list adds: float32 [n, p]."""

    tables: torch.Tensor
    lists: torch.Tensor
    bases: torch.Tensor


@dataclass(frozen=True, slots=True)
class Room:
    """The most pages that a query's lists hold together, and the most of one list."""

    width: int
    longest: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """Pages of each query, int32 [n, k]; how many codes of each count, int32; what its list adds: float32."""

    pages: torch.Tensor
    valid: torch.Tensor
    bases: torch.Tensor


def page_maxima(pages: Pages, asked: Asked, room: Room, bits: torch.Tensor | None) -> torch.Tensor:
    """The best score in each page of the lists probed, list after list: float32 [n, room.width].

    Minus infinity where a query has no more pages, and in pages of which nothing counts.
    """
    found = pages.directory
    held = found.held[asked.lists]
    best = torch.full((len(held), room.width), -torch.inf, device=pages.device)
    each = held.flatten()
    total = int(each.sum())
    probe = torch.arange(len(each), device=pages.device).repeat_interleave(each, output_size=total)
    within = torch.arange(total, device=pages.device) - (each.cumsum(0) - each)[probe]
    query, lists = probe // held.shape[1], asked.lists.flatten()[probe]
    chosen = Chosen(
        found.page_ids[found.start[lists] + within],
        (found.count[lists] - within * PAGE).clamp(0, PAGE).to(torch.int32),
        asked.bases.flatten()[probe],
    )
    column = (held.cumsum(1) - held).flatten()[probe] + within
    for at in range(0, total, _AT_ONCE // PAGE):
        part = slice(at, at + _AT_ONCE // PAGE)
        some = Chosen(chosen.pages[part], chosen.valid[part], chosen.bases[part])
        best[query[part], column[part]] = _scores(pages, asked.tables, query[part], some, bits).amax(1)
    return best


def page_scores(
    pages: Pages, tables: torch.Tensor, chosen: Chosen, bits: torch.Tensor | None
) -> torch.Tensor:
    """Every score of the pages chosen: float32 [n, k, 128], minus infinity of what does not count."""
    count, each = chosen.pages.shape
    query = torch.arange(count, device=pages.device).repeat_interleave(each)
    flat = Chosen(chosen.pages.flatten(), chosen.valid.flatten(), chosen.bases.flatten())
    return _scores(pages, tables, query, flat, bits).view(count, each, PAGE)


def encode(
    pages: Pages, where: Placement, codebook: Codebook, vectors: torch.Tensor, ids: torch.Tensor
) -> None:
    """Write the codes of vectors [n, d] where they were placed, with their ids [n]."""
    lists = torch.empty_like(where.lists)
    lists[where.order] = where.lists
    pages.write(where, codebook.encode(vectors, lists), ids)


def _scores(
    pages: Pages, tables: torch.Tensor, query: torch.Tensor, chosen: Chosen, bits: torch.Tensor | None
) -> torch.Tensor:
    """Scores of pages [t], each for a query of its own: float32 [t, 128]."""
    sums = torch.zeros((len(query), PAGE), device=pages.device)
    for column in range(pages.codes.shape[1]):
        words = pages.codes[chosen.pages.long(), column]
        for n in range(4):
            value = ((words >> (8 * n)) & 255).long()
            sums += tables[query, 4 * column + n].gather(1, value).float()
    slots = torch.arange(PAGE, device=pages.device)
    counts = slots < chosen.valid[:, None]
    if bits is not None:
        counts &= (bits[chosen.pages.long()][:, slots // 32] >> (slots % 32)) & 1 == 1
    return torch.where(counts, sums + chosen.bases[:, None], -torch.inf)
