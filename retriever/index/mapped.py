"""Lists of codes that stay on disk, memory-mapped: for stores whose codes do not fit into memory.

Beside the index lies one file with the codes of all shards, list after list, derived from the shards' files
and in no checksum of the store's. It ends with its own, and is written again where that does not fit. A
search touches the pages of the lists that it probes; memory holds the centroids, and whatever of the file the
system has room to keep.

Decisions: docs/decisions/index-and-codes.md.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from base.memory import available_memory
from datastore.files.layout import Layout
from datastore.files.writing import atomic_write
from datastore.opening import FULL_CHECK_BYTES
from retriever.index.lists import ListedCodes, ListPlan, give
from retriever.index.sizing import IndexKey

# An index that takes more of the memory at hand than this is left on disk.
_SHARE = 0.8
# What stands at the end of a file: the name of the index, and checksums.
_NAME_BYTES, _SUM_BYTES = 32, 16
_BLOCK = 1 << 22


def lay_out(layout: Layout, codes: ListedCodes, ivf: Any, each: int, blocks: bool) -> Path:
    """The file of a store's codes by list; written first if it is missing or another index's."""
    manifest = codes.manifest
    path = layout.lists(manifest.index.key, manifest.edition)
    name = manifest.index_hash.encode()
    if not path.exists() or not _whole(path, codes.nlist, name):
        plan = ListPlan(codes.sizes(), each, blocks)

        def write(handle: BinaryIO) -> None:
            os.ftruncate(handle.fileno(), plan.bytes)
            plan.fill(_File(handle.fileno()), codes, ivf)
            handle.seek(0, os.SEEK_END)
            end = plan.sizes.astype(np.uint64).tobytes() + name
            handle.write(end + _sum(handle, plan.bytes) + _digest(end))

        # Read as well as written: codes are laid into blocks where they are.
        atomic_write(path, write, "w+b")
    return path


def attach(ivf: Any, path: Path, each: int, blocks: bool) -> None:
    """Give an empty IVF index, of fast-scan codes if they lie in blocks, the lists of a file."""
    sizes, _, _ = _read_end(path, ivf.nlist)
    lists = ListPlan(sizes.astype(np.int64), each, blocks).lists()
    lists.filename = str(path)
    if lists.totsize:
        lists.do_mmap()
    give(ivf, lists, int(sizes.sum()))


@dataclass(frozen=True)
class _File:
    """An open file to lay lists out in."""

    number: int

    def write(self, at: int, data: NDArray[Any]) -> None:
        left = np.ascontiguousarray(data).data.cast("B")
        while left:
            written = os.pwrite(self.number, left, at)
            left, at = left[written:], at + written

    def read(self, at: int, count: int) -> NDArray[np.uint8]:
        return np.frombuffer(os.pread(self.number, count, at), np.uint8)


def _sum(handle: BinaryIO, count: int) -> bytes:
    """Checksum of the first bytes of an open file, 16 bytes; its position stays."""
    digest, at = xxhash.xxh3_128(), 0
    while at < count:
        block = os.pread(handle.fileno(), min(_BLOCK, count - at), at)
        if not block:
            break
        digest.update(block)
        at += len(block)
    return digest.digest()


def _digest(end: bytes) -> bytes:
    return xxhash.xxh3_128_digest(end)


def _whole(path: Path, nlist: int, name: bytes) -> bool:
    """Whether a file is the one that this index wants: its end always, all of it if it is not large."""
    sizes, found, expected = _read_end(path, nlist)
    if found != name:
        return False
    count = path.stat().st_size - len(sizes.tobytes()) - len(name) - 2 * _SUM_BYTES
    if count > FULL_CHECK_BYTES:
        return True
    with open(path, "rb") as handle:
        return _sum(handle, count) == expected


def _read_end(path: Path, nlist: int) -> tuple[NDArray[np.uint64], bytes, bytes]:
    """Sizes of the lists, name of the index that they are of, their checksum; nothing if it is damaged."""
    length = 8 * nlist + _NAME_BYTES + 2 * _SUM_BYTES
    with open(path, "rb") as handle:
        size = path.stat().st_size
        handle.seek(max(0, size - length))
        end = handle.read()
    name = 8 * nlist
    if len(end) != length or _digest(end[: name + _NAME_BYTES]) != end[-_SUM_BYTES:]:
        return np.zeros(nlist, np.uint64), b"", b""
    sizes = np.frombuffer(end[:name], np.uint64).copy()
    return sizes, end[name : name + _NAME_BYTES], end[-2 * _SUM_BYTES : -_SUM_BYTES]


def fits(key: IndexKey, rows: int, dimension: int) -> bool:
    """Whether an index fits into the memory that is at hand; True where nobody can say."""
    free = available_memory()
    return free is None or key.bytes(rows, dimension) <= _SHARE * free
