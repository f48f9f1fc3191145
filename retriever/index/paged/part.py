"""One device's share of a store: its pages, filled with vectors or codes, and searched exactly.

Exact by codes: one number a page leaves the scan, its best score, and the k best rows lie in the k pages
whose best are highest; these pages are scored again, row by row.

Decisions: docs/decisions/gpu.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from retriever.index.paged import scan
from retriever.index.paged.bits import by_slot
from retriever.index.paged.codebook import Codebook
from retriever.index.paged.pages import PAGE, Pages
from retriever.index.paged.scan import Asked, Chosen, Room


class Part:
    """Rows `first` and on of a store, as many as `capacity` says, on the codebook's device."""

    def __init__(
        self, codebook: Codebook, capacity: int, first: int = 0, kernels: ModuleType | None = None
    ) -> None:
        """`kernels`: what scans; by default Triton's on a GPU, PyTorch's own on a CPU."""
        self.codebook = codebook
        self.device = codebook.centroids.device
        self.first = first
        self.rows = 0
        self.pages = Pages(codebook.nlist, codebook.columns, capacity, self.device)
        self._kernels = kernels or _kernels_for(self.device)
        # Half the bytes that a scan reads of each query's own; sums are of float32.
        self._table_type = torch.float16 if self.device.type == "cuda" else torch.float32

    def add(self, vectors: torch.Tensor) -> None:
        """Encode vectors [n, d] on this device as the rows that come next."""
        with self.here():
            ids = torch.arange(self.rows, self.rows + len(vectors), device=self.device)
            where = self.pages.place(self.codebook.assign(vectors))
            self._kernels.encode(self.pages, where, self.codebook, vectors, ids)
            self.rows += len(vectors)

    def add_codes(self, lists: torch.Tensor, codes: torch.Tensor) -> None:
        """Take codes uint8 [n, code bytes] of lists int64 [n] on this device as the rows that come next."""
        with self.here():
            ids = torch.arange(self.rows, self.rows + len(codes), device=self.device)
            self.pages.write(self.pages.place(lists), codes, ids)
            self.rows += len(codes)

    def asked(self, vectors: torch.Tensor, lists: torch.Tensor, distances: torch.Tensor) -> Asked:
        """Queries float32 [n, d], and the lists that they probe, made ready on this device."""
        bases = distances if self.codebook.by_residual else torch.zeros_like(distances)
        return Asked(self.codebook.tables(vectors, self._table_type), lists, bases)

    def room(self, lists: NDArray[np.int64]) -> Room:
        """What a search of these lists [n, p] needs."""
        held = self.pages.directory.lengths[lists]
        return Room(int(held.sum(1).max(initial=0)), int(held.max(initial=0)))

    def most_room(self, nprobe: int) -> Room:
        """What any search of so many lists needs."""
        held = self.pages.directory.longest[:nprobe]
        return Room(int(held.sum()), int(held.max(initial=0)))

    def search(
        self, asked: Asked, k: int, room: Room, bits: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The k best rows by codes: scores [n, k] and rows int64 [n, k], best first, -1 where there are none.

        `bits`, if given, say which of this part's slots count. Waits for nothing.
        """
        with self.here():
            best = self._kernels.page_maxima(self.pages, asked, room, bits)
            chosen = self._best_pages(asked, best, min(k, room.width))
            scores = self._kernels.page_scores(self.pages, asked.tables, chosen, bits)
            top = scores.flatten(1).topk(min(k, scores[0].numel()), 1)
            page = chosen.pages.long().gather(1, top.indices // PAGE)
            rows = self.first + self.pages.rows_of(page * PAGE + top.indices % PAGE)
            rows = torch.where(top.values == -torch.inf, -1, rows)
            short = k - rows.shape[1]
            return F.pad(top.values, (0, short), value=-torch.inf), F.pad(rows, (0, short), value=-1)

    def _best_pages(self, asked: Asked, best: torch.Tensor, count: int) -> Chosen:
        """So many of the pages with the best maxima [n, width]."""
        found = self.pages.directory
        places = best.topk(count, 1, sorted=False).indices
        held = found.held[asked.lists]
        ends = held.cumsum(1)
        probe = torch.searchsorted(ends, places, right=True).clamp_(max=held.shape[1] - 1)
        lists = asked.lists.gather(1, probe)
        within = places - (ends - held).gather(1, probe)
        at = (found.start[lists] + within).clamp_(max=max(0, len(found.page_ids) - 1))
        valid = (found.count[lists] - within * PAGE).clamp_(0, PAGE)
        return Chosen(found.page_ids[at], valid.to(torch.int32), asked.bases.gather(1, probe))

    def bits(self, rows: NDArray[np.uint8]) -> torch.Tensor:
        """Bits by slot of a store's rows, packed with the lowest bit first: int32 [pages, 4]."""
        mine = rows[self.first // 8 : -(-(self.first + self.rows) // 8)]
        with self.here():
            here = torch.from_numpy(np.array(mine)).to(self.device)
            return by_slot(self.pages.ids[: self.pages.used], here, self.first % 8)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Kernels are started on this part's device."""
        if self.device.type != "cuda":
            yield
            return
        with torch.cuda.device(self.device):
            yield


def _kernels_for(device: torch.device) -> ModuleType:
    if device.type != "cuda":
        return scan
    from retriever.index.paged import kernels

    return kernels
