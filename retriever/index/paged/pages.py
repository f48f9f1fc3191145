"""Codes of one device in pages of 128, each of one list, filled from anywhere. Knows no vectors, no scores.

No list is counted ahead and none moves when it grows: a page is taken when a list's last one is full. One
sort of the pages by their lists says, before a search, where each list's pages lie.

Decisions: docs/decisions/gpu.md.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

# Codes in a page.
PAGE = 128
_IDS = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Placement:
    """Where new codes go: `order` brings them into order of their lists; `slots` are theirs in that order.

    Slot s is place s % 128 of page s // 128.
    """

    order: torch.Tensor
    lists: torch.Tensor
    slots: torch.Tensor


@dataclass(frozen=True, slots=True)
class Directory:
    """The pages of each list: `page_ids` int32, those of list l from `start[l]` on, `held[l]` of them.

    `count[l]` codes are in them. `lengths` is `held` in the host's memory, `longest` the same, descending.
    """

    page_ids: torch.Tensor
    start: torch.Tensor
    held: torch.Tensor
    count: torch.Tensor
    lengths: NDArray[np.int64]
    longest: NDArray[np.int64]


class Pages:
    """Pages of one device.

    `codes` int32 [page, columns, 128]: bytes 4c to 4c + 3 of a code lie in column c, so neighbouring rows are
    read together. `ids` int32 [page, 128]: the device's own numbers of rows, up to 2^32.
    """

    def __init__(self, nlist: int, columns: int, capacity: int, device: torch.device) -> None:
        """Room for so many codes. Raises torch.OutOfMemoryError."""
        pages = -(-capacity // PAGE) + min(nlist, capacity)
        self.device = device
        self.codes = torch.empty((pages, columns, PAGE), dtype=torch.int32, device=device)
        # Zeros: what no code was given an id for is looked up too, where rows are masked.
        self.ids = torch.zeros((pages, PAGE), dtype=torch.int32, device=device)
        self.used = 0
        self._owner = torch.empty(pages, dtype=torch.int32, device=device)
        self._count = torch.zeros(nlist, dtype=torch.int64, device=device)
        self._last = torch.zeros(nlist, dtype=torch.int64, device=device)
        self._directory: Directory | None = None

    @property
    def bytes(self) -> int:
        """Bytes of all pages and ids."""
        return int(self.codes.nbytes + self.ids.nbytes + self._owner.nbytes)

    def place(self, lists: torch.Tensor) -> Placement:
        """Take slots for codes of these lists, int64 [n]. Raises MemoryError beyond the capacity."""
        order = lists.argsort(stable=True)
        ordered = lists[order]
        more = torch.bincount(lists, minlength=len(self._count))
        rank = torch.arange(len(lists), device=self.device) - (more.cumsum(0) - more)[ordered]
        at = self._count[ordered] + rank
        had = -(-self._count // PAGE)
        self._count = self._count + more
        fresh = -(-self._count // PAGE) - had
        ends = fresh.cumsum(0)
        taken = int(ends[-1])
        if self.used + taken > len(self.codes):
            raise MemoryError(f"{self.used + taken} pages are needed and {len(self.codes)} are there.")
        first = self.used + ends - fresh
        page = torch.where(
            at // PAGE < had[ordered], self._last[ordered], first[ordered] + at // PAGE - had[ordered]
        )
        self._last = torch.where(fresh > 0, first + fresh - 1, self._last)
        numbers = torch.arange(len(fresh), dtype=torch.int32, device=self.device)
        self._owner[self.used : self.used + taken] = numbers.repeat_interleave(fresh, output_size=taken)
        self.used += taken
        self._directory = None
        return Placement(order, ordered, page * PAGE + at % PAGE)

    def write(self, where: Placement, codes: torch.Tensor, ids: torch.Tensor) -> None:
        """Write codes uint8 [n, bytes] with their ids [n], given in the order in which they were placed."""
        columns = self.codes.shape[1]
        padded = F.pad(codes, (0, 4 * columns - codes.shape[1]))[where.order].contiguous()
        page, slot = where.slots // PAGE, where.slots % PAGE
        column = torch.arange(columns, device=self.device)
        self.codes[page[:, None], column[None], slot[:, None]] = padded.view(torch.int32)
        self.ids.view(-1)[where.slots] = ids[where.order].to(torch.int32)

    @property
    def directory(self) -> Directory:
        """Where each list's pages lie."""
        if self._directory is None:
            owner = self._owner[: self.used]
            held = torch.bincount(owner, minlength=len(self._count))
            lengths = held.cpu().numpy()
            self._directory = Directory(
                owner.argsort(stable=True).to(torch.int32),
                held.cumsum(0) - held,
                held,
                self._count,
                lengths,
                np.sort(lengths)[::-1],
            )
        return self._directory

    def rows_of(self, slots: torch.Tensor) -> torch.Tensor:
        """The ids in slots: int64."""
        return self.ids.view(-1)[slots].long() & _IDS
