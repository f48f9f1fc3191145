"""A trained FAISS index and shards' codes to paged lists, read as fast as the disk gives them.

Decisions: docs/decisions/gpu.md.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import Manifest
from datastore.shard import open_array
from retriever.index.codec import lists_of, steps
from retriever.index.faiss_index import read_trained
from retriever.index.lists import Shard
from retriever.index.paged.codebook import Codebook
from retriever.index.paged.index import PagedIndex
from retriever.index.paged.part import Part
from retriever.index.sizing import IndexKey

# Codes that are read, travel and are placed at once, and blocks of them that are read ahead.
_CARGO = 1 << 19
_AHEAD = 4
# What a device keeps free beside codes: scores of many queries, and what they are chosen from.
_SPARE_BYTES = 3 << 30
# Rows up to which a device more would be idle most of the time.
_ROWS_A_DEVICE = 1 << 20


def load(root: Path, manifest: Manifest) -> PagedIndex:
    """Load every shard's codes of a store onto the GPUs. Raises RalmError."""
    if not torch.cuda.is_available():
        raise RalmError("PyTorch finds no GPU: check that nvidia-smi does, or search on the CPU.")
    devices = [torch.device("cuda", n) for n in range(torch.cuda.device_count())]
    shards = [(s.first_row, open_array(root / s.codes.path)) for s in manifest.shards if s.codes]
    key = IndexKey.parse(manifest.index.key)
    index = paged(read_trained(root / manifest.index.trained.path), key, shards, devices)
    if index.rows != manifest.rows:
        raise RalmError(f"The index has {index.rows} rows, the manifest {manifest.rows}.")
    return index


def paged(
    trained: Any, key: IndexKey, shards: Sequence[Shard], devices: Sequence[torch.device]
) -> PagedIndex:
    """The codes of shards, whose rows follow one another, in pages: each device has as many of the rows.

    Raises RalmError for codes other than PQ's, for damaged ones, and where the devices' memory is too small.
    """
    ivf = lists_of(trained)
    if not isinstance(ivf, faiss.IndexIVFPQ) or ivf.pq.nbits not in (4, 8):
        raise RalmError(f"{key.text} has no codes that lie in pages: choose PQ codes of 4 or 8 bits.")
    rows = sum(len(codes) for _, codes in shards)
    used = devices[: max(1, -(-rows // _ROWS_A_DEVICE))]
    ends = [rows * n // len(used) for n in range(len(used) + 1)]
    codebook = codebook_of(ivf)
    first = min((first for first, _ in shards), default=0)
    with ThreadPoolExecutor(len(used)) as loaders:
        begun = [
            loaders.submit(_filled, codebook.to(device), shards, (first + start, first + end))
            for device, start, end in zip(used, ends[:-1], ends[1:], strict=True)
        ]
        parts = [part.result() for part in begun]

    def rotate(queries: NDArray[np.float32]) -> NDArray[np.float32]:
        for step in steps(trained):
            queries = step.apply(queries)
        return queries

    return PagedIndex(key, parts, rotate)


def codebook_of(ivf: Any) -> Codebook:
    """What the codes of a trained IVF-PQ index mean."""
    words = torch.from_numpy(faiss.vector_to_array(ivf.pq.centroids))
    return Codebook(
        torch.from_numpy(ivf.quantizer.reconstruct_n(0, ivf.nlist)),
        words.reshape(ivf.pq.M, ivf.pq.ksub, ivf.pq.dsub),
        bool(ivf.by_residual),
    )


def _filled(codebook: Codebook, shards: Sequence[Shard], rows: tuple[int, int]) -> Part:
    """A part with the rows from the first on, before the second."""
    device = codebook.centroids.device
    try:
        part = Part(codebook, rows[1] - rows[0], rows[0])
        _require_spare(device)
        width = max(1, -(-(codebook.nlist - 1).bit_length() // 8))
        for cargo in _read(shards, rows, device.type == "cuda"):
            here = cargo.to(device, non_blocking=True)
            lists = torch.zeros(len(here), dtype=torch.int64, device=device)
            for n in range(width):  # Little-endian, as FAISS writes them.
                lists |= here[:, n].long() << (8 * n)
            if int(lists.max()) >= codebook.nlist:  # Beyond it a GPU would write anywhere.
                raise RalmError(
                    f"Codes of the index name a list beyond its {codebook.nlist:,}: `ralm verify` says which "
                    "file is damaged; restore that from a copy."
                )
            part.add_codes(lists, here[:, width:])
    except torch.OutOfMemoryError:
        raise RalmError(
            f"{device} has too little memory free for {rows[1] - rows[0]:,} codes: end what else runs there, "
            "add GPUs, or search on the CPU."
        ) from None
    return part


def _require_spare(device: torch.device) -> None:
    """Raise torch.OutOfMemoryError if a device has no room left to search in."""
    if device.type == "cuda" and torch.cuda.mem_get_info(device)[0] < _SPARE_BYTES:
        raise torch.OutOfMemoryError


def _read(shards: Sequence[Shard], rows: tuple[int, int], pinned: bool) -> Iterator[torch.Tensor]:
    """The codes of rows, block after block; the next ones are read while one is worked on."""
    with ThreadPoolExecutor(_AHEAD) as readers:
        waiting: list[Future[torch.Tensor]] = []
        for block in _blocks(shards, rows):
            waiting.append(readers.submit(_copied, block, pinned))
            if len(waiting) > _AHEAD:
                yield waiting.pop(0).result()
        for one in waiting:
            yield one.result()


def _blocks(shards: Sequence[Shard], rows: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for first, codes in sorted(shards, key=lambda shard: shard[0]):
        start, end = max(rows[0] - first, 0), min(rows[1] - first, len(codes))
        for at in range(start, end, _CARGO):
            yield codes[at : min(at + _CARGO, end)]


def _copied(block: NDArray[np.uint8], pinned: bool) -> torch.Tensor:
    """A block in memory of its own; a GPU reads pinned memory many times as fast as other memory."""
    copy = torch.empty(block.shape, dtype=torch.uint8, pin_memory=pinned)
    copy.numpy()[:] = block
    return copy
