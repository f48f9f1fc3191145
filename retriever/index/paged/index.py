"""Paged lists on one or several devices as a store's index: each device has a part of every list.

Decisions: docs/decisions/gpu.md.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import Unavailable
from retriever.index.code_index import Assigned, ScoredRows
from retriever.index.paged.captured import MOST_QUERIES, CapturedSearches
from retriever.index.paged.pages import PAGE
from retriever.index.paged.part import Part
from retriever.index.products import product, rows_at_once
from retriever.index.sizing import IndexKey

# Scores held at once on a device: the best ones of pages, and all of the pages chosen.
_SCORES = 1 << 28
# Scores up to which a search of few queries is captured; a captured one keeps its memory.
_CAPTURED = 1 << 24
Rotation: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@contextmanager
def _in_memory() -> Iterator[None]:
    """What others hold of a GPU just now may be free a little later."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise Unavailable(
            "The GPU has too little memory free for this search: ask again a little later, for fewer queries "
            "at once, or end what else runs there."
        ) from None


@dataclass(frozen=True)
class RowBits:
    """Which rows count, as each part's scan reads it."""

    parts: tuple[torch.Tensor, ...]


class PagedIndex:
    """Codes in pages on several devices. Searching is safe from several threads.

    `assign`, `selector` and `search` raise Unavailable where a GPU's memory is too small just then.
    """

    def __init__(self, key: IndexKey, parts: Sequence[Part], rotate: Rotation | None = None) -> None:
        """`parts`: filled, with rows that follow one another; `rotate`: what is done to queries first."""
        self.key = key
        self._parts = tuple(parts)
        self._rotate = rotate
        self._first = parts[0]
        self._captured = CapturedSearches(parts) if self._first.device.type == "cuda" else None
        for part in parts:
            _ = part.pages.directory  # Sorted now, not by the first search.

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return sum(part.rows for part in self._parts)

    @property
    def nlist(self) -> int:
        """Number of lists."""
        return self._first.codebook.nlist

    @property
    def bytes(self) -> int:
        """Bytes of pages and ids on all devices."""
        return sum(part.pages.bytes for part in self._parts)

    @_in_memory()
    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> Assigned:
        """Rotate queries [n, d] and choose the lists that each probes; `nprobe` 0 probes every list."""
        probed = min(nprobe or self.nlist, self.nlist)
        if self._rotate is not None:
            queries = self._rotate(queries)
        centroids, device = self._first.codebook.quick, self._first.device
        here = torch.from_numpy(np.ascontiguousarray(queries)).to(device).to(centroids.dtype)
        blocks = here.split(rows_at_once(self.nlist, device)) if len(here) else ()
        best = [product(block, centroids.T).topk(probed) for block in blocks]
        if not best:
            return Assigned(
                queries, probed, np.empty((0, probed), np.float32), np.empty((0, probed), np.int64)
            )
        distances, lists = (np.concatenate([t.cpu() for t in part]) for part in zip(*best, strict=True))
        return Assigned(queries, probed, distances, lists)

    @_in_memory()
    def selector(self, rows: NDArray[np.uint8]) -> RowBits:
        """What a search takes as `among`: rows that count, a bit each, packed with the lowest bit first."""
        return RowBits(tuple(part.bits(rows) for part in self._parts))

    @_in_memory()
    def search(self, queries: Assigned, k: int, among: Any | None = None) -> ScoredRows:
        """The k best rows by their codes' inner product; `among`, of `selector`, leaves out other rows."""
        k = min(k, self.rows)
        if not k or not len(queries):
            return np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        assert queries.lists is not None  # Every query of ours is assigned.
        if self._captured is not None and among is None and self._small(queries, k):
            return _best(self._captured.search(queries, k), k)
        widest = max(part.room(queries.lists).width for part in self._parts)
        block = max(1, _SCORES // (widest + PAGE * min(k, widest) + 1))
        starts = range(0, len(queries), block)
        found = [self._search(queries[at : at + block], k, among) for at in starts]
        scores, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        return scores, rows

    def _small(self, queries: Assigned, k: int) -> bool:
        """Whether a search is one to be captured: its scores have their place for good."""
        assert queries.lists is not None
        width = max(part.most_room(queries.lists.shape[1]).width for part in self._parts)
        return len(queries) <= MOST_QUERIES and MOST_QUERIES * (width + PAGE * min(k, width)) <= _CAPTURED

    def _search(self, queries: Assigned, k: int, among: RowBits | None) -> ScoredRows:
        assert queries.lists is not None
        arrays = queries.vectors, queries.lists, queries.distances
        given = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
        found = []
        for n, part in enumerate(self._parts):
            with part.here():
                asked = part.asked(*(tensor.to(part.device, non_blocking=True) for tensor in given))
                bits = among.parts[n] if among is not None else None
                found.append(part.search(asked, k, part.room(queries.lists), bits))
        return self._merged(found, k)

    def _merged(self, found: Sequence[tuple[torch.Tensor, torch.Tensor]], k: int) -> ScoredRows:
        """The k best of all parts."""
        scores, rows = found[0]
        if len(found) > 1:
            with self._first.here():
                every = [[t.to(self._first.device) for t in part] for part in zip(*found, strict=True)]
                best = torch.cat(every[0], 1).topk(k, 1)
                scores, rows = best.values, torch.cat(every[1], 1).gather(1, best.indices)
        return scores.cpu().numpy(), rows.cpu().numpy()


def _best(found: Sequence[ScoredRows], k: int) -> ScoredRows:
    """The k best of what parts found, on the host: of few queries."""
    if len(found) == 1:
        return found[0]
    scores, rows = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
