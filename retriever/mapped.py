"""Lists of codes that stay on disk, memory-mapped: for stores whose codes do not fit into memory.

Beside the index lies one file with the codes of all shards, list after list, derived from the shards' files
and in no checksum. A search touches the pages of the lists that it probes; memory holds the centroids, and
whatever of the file the system has room to keep.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.layout import Layout, atomic_write
from datastore.manifest import Manifest
from datastore.store import open_array
from retriever.card import identity
from retriever.sizing import IndexKey

# Codes sorted by list at once: a list's share of them is written in one piece.
_BULK_BYTES = 1 << 28
_ID_BYTES = 8
# An index that takes more of the memory at hand than this is left on disk.
_SHARE = 0.8


def lists_of_codes(codes: NDArray[np.uint8], width: int) -> NDArray[np.int64]:
    """The list that each code belongs to: its first `width` bytes, little-endian."""
    lists = np.zeros(len(codes), np.int64)
    for n in range(width):
        lists |= codes[:, n].astype(np.int64) << (8 * n)
    return lists


def lay_out(layout: Layout, manifest: Manifest, ivf: Any) -> Path:
    """The file of a store's codes by list; written first if it is missing or another index's."""
    path = layout.lists(manifest.index.key, manifest.edition)
    name = identity(manifest).encode()
    if not path.exists() or _read_end(path, ivf.nlist)[1] != name:
        atomic_write(path, lambda handle: _fill(handle, layout.root, manifest, ivf, name))
    return path


def attach(ivf: Any, path: Path) -> None:
    """Give an empty IVF index the lists of a file."""
    sizes, _ = _read_end(path, ivf.nlist)
    lists = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size, lists.read_only = ivf.nlist, ivf.code_size, True
    lists.filename = str(path)
    lists.lists.resize(ivf.nlist)
    lists.set_all_lists_sizes(faiss.swig_ptr(sizes))
    lists.totsize = int(sizes.sum()) * (ivf.code_size + _ID_BYTES)
    if lists.totsize:
        lists.do_mmap()
    lists.this.disown()
    ivf.replace_invlists(lists, True)
    ivf.ntotal = int(sizes.sum())


def _fill(handle: BinaryIO, root: Path, manifest: Manifest, ivf: Any, name: bytes) -> None:
    """Write all codes, as FAISS's OnDiskInvertedLists lays them out: of each list its codes, then its ids."""
    width, each = int(ivf.coarse_code_size()), int(ivf.code_size)
    sizes = np.zeros(ivf.nlist, np.int64)
    for _, codes in _bulks(root, manifest):
        sizes += np.bincount(lists_of_codes(codes, width), minlength=ivf.nlist)
    starts = (np.cumsum(sizes) - sizes) * (each + _ID_BYTES)
    done, file = np.zeros(ivf.nlist, np.int64), handle.fileno()
    for rows, codes in _bulks(root, manifest):
        lists = lists_of_codes(codes, width)
        order = np.argsort(lists, kind="stable")
        counts = np.bincount(lists, minlength=ivf.nlist)
        bodies, ids = np.ascontiguousarray(codes[order, width:]), rows[order]
        ends = np.cumsum(counts)
        for number in np.flatnonzero(counts).tolist():
            mine = slice(ends[number] - counts[number], ends[number])
            start, before = int(starts[number]), int(done[number])
            _write_at(file, bodies[mine].data, start + before * each)
            _write_at(file, ids[mine].data, start + int(sizes[number]) * each + before * _ID_BYTES)
        done += counts
    handle.seek(0, os.SEEK_END)
    handle.write(sizes.astype(np.uint64).tobytes() + name)


def _write_at(file: int, data: memoryview, offset: int) -> None:
    left = data.cast("B")
    while left:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written


def _bulks(root: Path, manifest: Manifest) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Row ids and codes of many shards at a time, or of a part of a large one."""
    rows: list[NDArray[np.int64]] = []
    codes: list[NDArray[np.uint8]] = []
    held = 0
    for shard in manifest.shards:
        assert shard.codes is not None  # Only indexes with lists come here.
        its = open_array(root / shard.codes.path)
        step = max(1, _BULK_BYTES // its.shape[1])
        for at in range(0, len(its), step):
            codes.append(its[at : at + step])
            rows.append(np.arange(shard.first_row + at, shard.first_row + at + len(codes[-1])))
            held += codes[-1].nbytes
            if held >= _BULK_BYTES:
                yield np.concatenate(rows), np.concatenate(codes)
                rows, codes, held = [], [], 0
    if codes:
        yield np.concatenate(rows), np.concatenate(codes)


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
