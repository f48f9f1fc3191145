"""A store's index, opened for searching: its codes in memory, on disk or on GPUs.

Decisions: docs/decisions/index-and-codes.md.
"""

import ctypes
from pathlib import Path
from typing import Any, Literal

import numpy as np

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.manifest import Device, Manifest
from datastore.shard import open_array
from retriever.index.code_index import CodeIndex
from retriever.index.faiss_index import (
    SearchIndex,
    as_fast_scan,
    has_codec,
    inner_of,
    lists_of,
    read_trained,
)
from retriever.index.lists import ListedCodes, fill
from retriever.index.mapped import attach, fits, lay_out
from retriever.index.sizing import IndexKey

# Where the lists of a loaded index lie.
Place = Literal["auto", "memory", "disk"]
_ADD_BLOCK = 1 << 20


def load(root: Path, manifest: Manifest, device: Device = "cpu", place: Place = "auto") -> CodeIndex:
    """Load a store's index: onto the GPUs if it has codes that they search, else into memory.

    `place` "disk" leaves its lists on the disk, "auto" does if they do not fit into memory.
    """
    key = IndexKey.parse(manifest.index.key)
    if device == "cuda" and key.in_pages:
        from retriever.index.paged.loading import load as load_paged

        return load_paged(root, manifest)
    if device == "cuda" and key.has_lists:
        from retriever.index.gpu import GpuSearchIndex

        return GpuSearchIndex.load(root, manifest, on_host=lambda: in_memory(root, manifest))
    if place == "disk":
        return on_disk(root, manifest)
    if key.has_lists and place == "auto" and not fits(key, manifest.rows, manifest.encoder.dimension):
        return on_disk(root, manifest)
    return in_memory(root, manifest)


def in_memory(root: Path, manifest: Manifest) -> SearchIndex:
    """Load the quantizer and every shard's codes into memory."""
    key = IndexKey.parse(manifest.index.key)
    index = read_trained(root / manifest.index.trained.path)
    if lists_of(index) is not None and has_codec(index):
        return _with_lists(index, key, root, manifest, in_memory=True)
    if not index.ntotal:
        _add_codes(index, root, manifest, key)
    return _checked(index, key, manifest)


def on_disk(root: Path, manifest: Manifest) -> SearchIndex:
    """Open an IVF index whose lists stay on disk.

    The first time they are laid out there, in a file as large as all codes and ids.
    """
    key = IndexKey.parse(manifest.index.key)
    index = read_trained(root / manifest.index.trained.path)
    if lists_of(index) is None or not has_codec(index):
        raise RalmError(f"The index {key.text} has no lists that could stay on disk: load it into memory.")
    return _with_lists(index, key, root, manifest, in_memory=False)


def _with_lists(index: Any, key: IndexKey, root: Path, manifest: Manifest, in_memory: bool) -> SearchIndex:
    ivf: Any = lists_of(index)
    codes, each = ListedCodes.of(ivf, root, manifest), int(ivf.code_size)
    # RaBitQ's blocks hold more than codes: FAISS makes them in memory, on disk codes are scanned plain.
    blocks = key.fast_scan and hasattr(ivf, "pq")
    if blocks:
        index = as_fast_scan(index)
    inner = inner_of(index)
    path = None
    if in_memory:
        fill(inner, codes, each, blocks)
    else:
        path = lay_out(Layout(root), codes, inner, each, blocks)
        attach(inner, path, each, blocks)
    index.ntotal = inner.ntotal
    if key.fast_scan and in_memory and not blocks:
        index = as_fast_scan(index)
    loaded = _checked(index, key, manifest, path)
    _give_back_memory()
    return loaded


def _checked(index: Any, key: IndexKey, manifest: Manifest, mapped: Path | None = None) -> SearchIndex:
    if index.ntotal != manifest.rows:
        raise RalmError(f"The index has {index.ntotal} rows, the manifest {manifest.rows}.")
    return SearchIndex(index, key, laid_out=True, mapped=mapped)


def _add_codes(index: Any, root: Path, manifest: Manifest, key: IndexKey) -> None:
    inner = inner_of(index)
    for shard in manifest.shards:
        # Flat: the stored float16 vectors are the codes.
        entry = shard.vectors if key.exact else shard.codes
        assert entry is not None  # Every index with a codec has codes.
        codes = open_array(root / entry.path).view(np.uint8)
        for at in range(0, len(codes), _ADD_BLOCK):
            block = np.ascontiguousarray(codes[at : at + _ADD_BLOCK])
            first = shard.first_row + at
            inner.add_sa_codes(block, np.arange(first, first + len(block)))
    index.ntotal = inner.ntotal


def _give_back_memory() -> None:
    """Return to the system what loading took for a while: the C library would keep it for the process."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
