"""Lists of codes that stay on disk, memory-mapped: for stores whose codes do not fit into memory.

Beside the index lies one file with the codes of all shards, list after list, derived from the shards' files
and in no checksum. A search touches the pages of the lists that it probes; memory holds the centroids, and
whatever of the file the system has room to keep.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.layout import Layout, atomic_write
from datastore.manifest import Manifest
from retriever.card import identity
from retriever.lists import ListedCodes
from retriever.sizing import IndexKey

_ID_BYTES = 8
# Codes in a block that SIMD registers scan, and what a list's first one is aligned to.
BLOCK = 32
_ALIGNED = 64
# An index that takes more of the memory at hand than this is left on disk.
_SHARE = 0.8


@dataclass(frozen=True)
class ListsFile:
    """How a file of lists is laid out: of each list its codes, then its ids, up to a multiple of 64 bytes.

    Fast-scan codes (`blocks`) lie there in blocks of 32, the last one filled up, as they are scanned.
    """

    sizes: NDArray[np.int64]
    each: int
    blocks: bool

    @property
    def capacities(self) -> NDArray[np.int64]:
        """Codes that each list has room for."""
        return -(-self.sizes // BLOCK) * BLOCK if self.blocks else self.sizes

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each list begins, in bytes; one more, where the last ends."""
        taken = self.capacities * self.each + self.sizes * _ID_BYTES
        starts: NDArray[np.int64] = np.cumsum([0, *(-(-taken // _ALIGNED) * _ALIGNED)])
        return starts

    def fill(self, handle: BinaryIO, codes: ListedCodes, ivf: Any, name: bytes) -> None:
        """Write all codes and ids, and behind them the sizes and the name."""
        file, starts, capacities = handle.fileno(), self.starts, self.capacities
        os.ftruncate(file, int(starts[-1]))
        for piece in codes.pieces():
            start, capacity = int(starts[piece.number]), int(capacities[piece.number])
            _write_at(file, piece.codes.data, start + piece.at * self.each)
            _write_at(file, piece.ids.data, start + capacity * self.each + piece.at * _ID_BYTES)
        if self.blocks:
            for number in np.flatnonzero(self.sizes).tolist():
                size, start = int(self.sizes[number]), int(starts[number])
                plain = np.frombuffer(os.pread(file, size * self.each, start), np.uint8)
                _write_at(file, in_blocks(ivf, plain.reshape(size, self.each)).data, start)
        handle.seek(0, os.SEEK_END)
        handle.write(self.sizes.astype(np.uint64).tobytes() + name)

    def lists(self, path: Path) -> Any:
        """The lists of a file, as FAISS reads them."""
        lists = faiss.OnDiskInvertedLists()
        lists.nlist, lists.code_size, lists.read_only = len(self.sizes), self.each, True
        lists.filename = str(path)
        columns = self.sizes.tolist(), self.capacities.tolist(), self.starts[:-1].tolist()
        for size, capacity, start in zip(*columns, strict=True):
            one = faiss.OnDiskOneList()
            one.size, one.capacity, one.offset = size, capacity, start
            lists.lists.push_back(one)
        lists.totsize = int(self.starts[-1])
        if lists.totsize:
            lists.do_mmap()
        return lists


def lay_out(layout: Layout, manifest: Manifest, ivf: Any, blocks: bool) -> Path:
    """The file of a store's codes by list; written first if it is missing or another index's."""
    path = layout.lists(manifest.index.key, manifest.edition)
    name = identity(manifest).encode()
    if not path.exists() or _read_end(path, ivf.nlist)[1] != name:
        codes = ListedCodes.of(ivf, layout.root, manifest)
        file = ListsFile(codes.sizes(), int(ivf.code_size), blocks)
        # Read as well as written: codes are laid into blocks where they are.
        atomic_write(path, lambda handle: file.fill(handle, codes, ivf, name), "w+b")
    return path


def attach(ivf: Any, path: Path, code_size: int, blocks: bool) -> None:
    """Give an empty IVF index, of fast-scan codes or of others, the lists of a file."""
    sizes, _ = _read_end(path, ivf.nlist)
    lists = ListsFile(sizes.astype(np.int64), code_size, blocks).lists(path)
    ivf.ntotal = int(sizes.sum())
    lists.this.disown()
    ivf.replace_invlists(lists, True)


def in_blocks(ivf: Any, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes of one list as a fast-scan index lays them out: uint8 [n, code size] -> as many bytes for n filled
    up to a multiple of 32.

    By FAISS itself, through an index of a single list.
    """
    one = faiss.IndexIVFPQ(
        faiss.IndexFlatIP(ivf.d), ivf.d, 1, ivf.pq.M, ivf.pq.nbits, faiss.METRIC_INNER_PRODUCT
    )
    ids = np.arange(len(codes))
    one.invlists.add_entries(0, len(codes), faiss.swig_ptr(ids), faiss.swig_ptr(codes.ravel()))
    one.is_trained, one.ntotal, one.by_residual = True, len(codes), ivf.by_residual
    one.pq = ivf.pq
    fast = faiss.IndexIVFPQFastScan(one)
    width = codes.shape[1] * (-(-len(codes) // BLOCK) * BLOCK)
    laid: NDArray[np.uint8] = faiss.rev_swig_ptr(fast.invlists.get_codes(0), width).copy()
    return laid


def _write_at(file: int, data: memoryview, offset: int) -> None:
    left = data.cast("B")
    while left:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written


def _read_end(path: Path, nlist: int) -> tuple[NDArray[np.uint64], bytes]:
    """The sizes of the lists, and the name of the index that they are of; nothing if the file is cut."""
    with open(path, "rb") as handle:
        size = path.stat().st_size
        handle.seek(max(0, size - 8 * nlist - 32))
        end = handle.read()
    if len(end) != 8 * nlist + 32:
        return np.zeros(nlist, np.uint64), b""
    return np.frombuffer(end[: 8 * nlist], np.uint64).copy(), end[8 * nlist :]


def fits(key: IndexKey, rows: int, dimension: int) -> bool:
    """Whether an index fits into the memory that is at hand; True where nobody can say."""
    free = available_memory()
    return free is None or key.bytes(rows, dimension) <= _SHARE * free


def available_memory() -> int | None:
    """Bytes that this process may still take, by the system and by its control group; None if unknown."""
    limits = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        limits += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit != "max":
            limits.append(int(limit) - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(limits) if limits else None
