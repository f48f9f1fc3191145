"""Codes of shards to the lists of an index: one stretch of bytes, in memory or a file, list after list.

Of each list its codes, then its ids. FAISS's own lists grow by themselves and take half as much again, and
its fast-scan lists take a power of two of bytes; here every list has its size before it is filled.

Decisions: docs/decisions/index-and-codes.md.
"""

import ctypes
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import Manifest
from datastore.shard import open_array

# Codes sorted by list at once.
_BULK_BYTES = 1 << 28
_ID_BYTES = 8
# Codes in a block that SIMD registers scan, and what a list's first one is aligned to, in bytes.
_BLOCK = 32
_ALIGNED = 64

# The row of a shard's first vector, and its codes: uint8 [rows, code size].
Shard: TypeAlias = tuple[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Piece:
    """Codes of one list out of some shards, and their row ids; `at` of this list's came before."""

    number: int
    at: int
    ids: NDArray[np.int64]
    codes: NDArray[np.uint8]


@dataclass(frozen=True)
class ListedCodes:
    """The codes of a store, each with the number of its list in its first `width` bytes."""

    root: Path
    manifest: Manifest
    nlist: int
    width: int

    @classmethod
    def of(cls, ivf: Any, root: Path, manifest: Manifest) -> "ListedCodes":
        """As an IVF index reads them."""
        return cls(root, manifest, int(ivf.nlist), int(ivf.coarse_code_size()))

    def sizes(self) -> NDArray[np.int64]:
        """How many codes each list has: int64 [nlist]."""
        sizes = np.zeros(self.nlist, np.int64)
        for _, codes in self._bulks():
            sizes += np.bincount(self._lists(codes), minlength=self.nlist)
        return sizes

    def pieces(self) -> Iterator[Piece]:
        """All codes, a list's at a time out of as many shards as are held at once."""
        done = np.zeros(self.nlist, np.int64)
        for rows, codes in self._bulks():
            lists = self._lists(codes)
            order = np.argsort(lists, kind="stable")
            counts = np.bincount(lists, minlength=self.nlist)
            bodies, ids = np.ascontiguousarray(codes[order, self.width :]), rows[order]
            ends = np.cumsum(counts)
            for number in np.flatnonzero(counts).tolist():
                mine = slice(int(ends[number] - counts[number]), int(ends[number]))
                yield Piece(number, int(done[number]), ids[mine], bodies[mine])
            done += counts

    def _lists(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        # Little-endian, as FAISS writes them.
        lists = np.zeros(len(codes), np.int64)
        for n in range(self.width):
            lists |= codes[:, n].astype(np.int64) << (8 * n)
        return lists

    def _bulks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        return in_bulk(self._shards(), _BULK_BYTES)

    def _shards(self) -> Iterator[Shard]:
        for shard in self.manifest.shards:
            assert shard.codes is not None  # Every index with lists has codes.
            yield shard.first_row, open_array(self.root / shard.codes.path)


def in_bulk(shards: Iterable[Shard], most: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Row ids and codes of many shards at a time, or of a part of a large one: about `most` bytes."""
    rows: list[NDArray[np.int64]] = []
    codes: list[NDArray[np.uint8]] = []
    held = 0
    for first_row, its in shards:
        step = max(1, most // its.shape[1])
        for at in range(0, len(its), step):
            codes.append(its[at : at + step])
            rows.append(np.arange(first_row + at, first_row + at + len(codes[-1])))
            held += codes[-1].nbytes
            if held >= most:
                yield np.concatenate(rows), np.concatenate(codes)
                rows, codes, held = [], [], 0
    if codes:
        yield np.concatenate(rows), np.concatenate(codes)


class Place(Protocol):
    """Bytes to lay lists out in."""

    def write(self, at: int, data: NDArray[Any]) -> None: ...
    def read(self, at: int, count: int) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class ListPlan:
    """Where each list lies, by the number of its codes and the bytes of each.

    Fast-scan codes (`blocks`) lie in blocks of 32, the last one filled up, as they are scanned.
    """

    sizes: NDArray[np.int64]
    each: int
    blocks: bool

    @property
    def capacities(self) -> NDArray[np.int64]:
        """Codes that each list has room for."""
        return -(-self.sizes // _BLOCK) * _BLOCK if self.blocks else self.sizes

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each list begins, in bytes; one more, where the last ends."""
        taken = self.capacities * self.each + self.sizes * _ID_BYTES
        starts: NDArray[np.int64] = np.cumsum([0, *(-(-taken // _ALIGNED) * _ALIGNED)])
        return starts

    @property
    def bytes(self) -> int:
        """Bytes of all lists."""
        return int(self.starts[-1])

    def fill(self, place: Place, codes: ListedCodes, ivf: Any) -> None:
        """Lay out all codes and ids; `ivf` is the index whose codes they are."""
        starts, capacities = self.starts, self.capacities
        for piece in codes.pieces():
            start, capacity = int(starts[piece.number]), int(capacities[piece.number])
            place.write(start + piece.at * self.each, piece.codes)
            place.write(start + capacity * self.each + piece.at * _ID_BYTES, piece.ids)
        for number in np.flatnonzero(self.sizes).tolist() if self.blocks else ():
            size, start = int(self.sizes[number]), int(starts[number])
            plain = place.read(start, size * self.each).reshape(size, self.each)
            place.write(start, in_blocks(ivf, plain))

    def lists(self) -> Any:
        """Lists as FAISS reads them, still without bytes."""
        lists = faiss.OnDiskInvertedLists()
        lists.nlist, lists.code_size, lists.read_only = len(self.sizes), self.each, True
        # Its threads that read ahead take longer than a search of what is in memory.
        lists.prefetch_nthread = 0
        lists.totsize = self.bytes
        columns = self.sizes.tolist(), self.capacities.tolist(), self.starts[:-1].tolist()
        for size, capacity, start in zip(*columns, strict=True):
            one = faiss.OnDiskOneList()
            one.size, one.capacity, one.offset = size, capacity, start
            lists.lists.push_back(one)
        return lists


def in_blocks(ivf: Any, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of one list [n, code size] as a fast-scan index lays them out: flat, n filled up to the next 32.

    By FAISS itself (Andre, Kermarrec, Le Scouarnec 2015), through an index of a single list.
    """
    one = faiss.IndexIVFPQ(
        faiss.IndexFlatIP(ivf.d), ivf.d, 1, ivf.pq.M, ivf.pq.nbits, faiss.METRIC_INNER_PRODUCT
    )
    ids = np.arange(len(codes))
    one.invlists.add_entries(0, len(codes), faiss.swig_ptr(ids), faiss.swig_ptr(codes.ravel()))
    one.is_trained, one.ntotal, one.by_residual = True, len(codes), ivf.by_residual
    one.pq = ivf.pq
    fast = faiss.IndexIVFPQFastScan(one)
    width = codes.shape[1] * (-(-len(codes) // _BLOCK) * _BLOCK)
    laid: NDArray[np.uint8] = faiss.rev_swig_ptr(fast.invlists.get_codes(0), width).copy()
    return laid


class Memory:
    """Pages of memory that FAISS takes over and unmaps."""

    def __init__(self, count: int) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        access, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        address = library.mmap(None, count, access, kind, -1, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            raise RalmError(
                f"{count:,} bytes of memory for an index cannot be had: search with --index-in disk."
            )
        if hasattr(mmap, "MADV_HUGEPAGE"):
            library.madvise(address, count, mmap.MADV_HUGEPAGE)
        pages: Any = (ctypes.c_uint8 * count).from_address(address)
        self.bytes: NDArray[np.uint8] = np.frombuffer(pages, np.uint8)

    def write(self, at: int, data: NDArray[Any]) -> None:
        found = np.ascontiguousarray(data).view(np.uint8).ravel()
        self.bytes[at : at + len(found)] = found

    def read(self, at: int, count: int) -> NDArray[np.uint8]:
        return np.array(self.bytes[at : at + count])


def fill(ivf: Any, codes: ListedCodes, each: int, blocks: bool) -> None:
    """Give an empty IVF index, of fast-scan codes if they are to lie in blocks, the codes of a store."""
    plan = ListPlan(codes.sizes(), each, blocks)
    lists = plan.lists()
    if plan.bytes:
        memory = Memory(plan.bytes)
        plan.fill(memory, codes, ivf)
        lists.ptr = faiss.swig_ptr(memory.bytes)
    give(ivf, lists, int(plan.sizes.sum()))


def give(ivf: Any, lists: Any, rows: int) -> None:
    """Have an index take lists over."""
    lists.this.disown()
    ivf.replace_invlists(lists, True)
    ivf.ntotal = rows
