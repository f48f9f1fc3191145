"""Codes searched on GPUs: a copy on each, or one on several that share its lists where it is too large.

Decisions: docs/decisions/gpu.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import Manifest
from datastore.shard import open_array
from retriever.index.code_index import Assigned, CodeIndex, ScoredRows
from retriever.index.codec import lists_of, steps
from retriever.index.faiss_index import read_trained
from retriever.index.gpu_copy import GpuCopy, gpus_of_a_copy
from retriever.index.lists import Shard
from retriever.index.products import product, quickest, rows_at_once
from retriever.index.sizing import IndexKey

# FAISS's limit on GPUs (its wiki, "Faiss on the GPU"): the most lists or rows that it selects for a query.
_MOST_SELECTED = 2048
# Rows of scalar codes: beyond it, the selection and the codes' ranges exceed the 48 KiB that a block of
# threads may share, and FAISS ends the process (faiss issue 4509; seen with 384 dimensions and k 2,000).
_MOST_SCALAR_ROWS = 512
# Queries that the copies share. Fewer go to one of them: 32 take 1.5 to 2.7 times as long as one does.
_SHARED = 64


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that hold codes: each copy lies on `a_copy` of them at least; 0: on as few as hold it."""

    devices: Sequence[int]
    a_copy: int = 0


ONE_GPU = Gpus((0,))


class GpuSearchIndex:
    """The codes of a store's shards on one or several GPUs. Searching is safe from several threads.

    It answers as `faiss_index.SearchIndex` does, up to 2,048 lists and rows a query (512 rows of scalar
    codes) and without selectors. What it cannot answer goes to such an index of the same codes in the host's
    memory, which is loaded the first time.

    There are as many copies of the codes as the GPUs hold. Copies share the queries of a batch, and take
    turns with fewer; the GPUs of one copy share its lists, and take part in each of its searches.
    """

    def __init__(
        self,
        trained: Any,
        key: IndexKey,
        shards: Sequence[Shard],
        gpus: Gpus = ONE_GPU,
        on_host: Callable[[], CodeIndex] | None = None,
    ) -> None:
        """Load shards onto GPUs; `on_host` loads the same codes into the host's memory.

        Raises RalmError without faiss-gpu, for codes that have no form on GPUs, and if they do not fit.
        """
        _require_gpu()
        self.key = key
        self._load_on_host = on_host
        self._on_host: CodeIndex | None = None
        self._loading = Lock()
        self.rows = sum(len(codes) for _, codes in shards)
        self._trained = trained
        self._ivf = lists_of(trained)
        if not isinstance(self._ivf, faiss.IndexIVFPQ | faiss.IndexIVFScalarQuantizer):
            name = type(self._ivf).__name__
            raise RalmError(f"{name} has no form on GPUs: search it on the CPU, or choose PQ codes.")
        self._device = torch.device("cuda", gpus.devices[0])
        centroids = torch.from_numpy(self._ivf.quantizer.reconstruct_n(0, self._ivf.nlist))
        self._factor = quickest(centroids.to(self._device)).T
        self._turns = count()
        self._copies = self._fill(shards, gpus)

    def _fill(self, shards: Sequence[Shard], gpus: Gpus) -> list[GpuCopy]:
        """Load the codes into every copy, all of them from the same lists in the host's memory."""
        wide_ids = needs_wide_ids(shards)
        size = self.rows * (self._ivf.code_size + (8 if wide_ids else 4))
        least = gpus.a_copy or gpus_of_a_copy(size, gpus.devices)
        copies = [GpuCopy(self._ivf, group) for group in grouped(gpus.devices, least)]
        lists = copies[0].sort(shards)
        for loaded in [future for copy in copies for future in copy.load(lists, wide_ids)]:
            loaded.result()
        return copies

    @classmethod
    def load(
        cls,
        root: Path,
        manifest: Manifest,
        on_host: Callable[[], CodeIndex] | None = None,
    ) -> "GpuSearchIndex":
        """Load every shard's codes of a store onto all GPUs."""
        _require_gpu()
        gpus = Gpus(range(faiss.get_num_gpus()))
        trained = read_trained(root / manifest.index.trained.path)
        shards = [(s.first_row, open_array(root / s.codes.path)) for s in manifest.shards if s.codes]
        key = IndexKey.parse(manifest.index.key)
        return cls(trained, key, shards, gpus, on_host)

    @property
    def nlist(self) -> int:
        """Number of lists."""
        return int(self._ivf.nlist)

    @property
    def _most_rows(self) -> int:
        """The most rows that FAISS selects on a GPU."""
        return _MOST_SCALAR_ROWS if isinstance(self._ivf, faiss.IndexIVFScalarQuantizer) else _MOST_SELECTED

    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> Assigned:
        """Rotate queries [n, d] and choose the lists that each probes; `nprobe` 0 probes every list."""
        probed = min(nprobe or self.nlist, self.nlist)
        if probed > _MOST_SELECTED:
            return self._host(f"nprobe {probed}").assign(queries, nprobe)
        for step in steps(self._trained):
            queries = step.apply(queries)
        here = torch.from_numpy(np.ascontiguousarray(queries)).to(self._device)
        blocks = here.to(self._factor.dtype).split(rows_at_once(self.nlist, self._device))
        best = [product(block, self._factor).topk(probed) for block in blocks]
        distances, lists = (np.concatenate([t.cpu() for t in part]) for part in zip(*best, strict=True))
        return Assigned(queries, nprobe, distances, lists)

    def selector(self, rows: NDArray[np.uint8]) -> Any:
        """What the host's index takes as `among`; FAISS keeps a pointer to the bits."""
        return faiss.IDSelectorBitmap(rows)

    def search(self, queries: Assigned, k: int, among: Any | None = None) -> ScoredRows:
        """The k best rows by their codes' inner product; `among`, a FAISS selector, leaves out other rows.

        Raises RalmError for what neither a GPU nor the host can search.
        """
        k = min(k, self.rows)
        if not k:
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        assert queries.lists is not None  # Every query of ours is assigned.
        probed = queries.lists.shape[1]
        if among is not None or k > self._most_rows or probed > _MOST_SELECTED:
            what = f"k {k}" if k > self._most_rows else f"nprobe {probed}"
            return self._host("a selector" if among is not None else what).search(queries, k, among)
        return search_copies(self._copies, next(self._turns), queries, k)

    def _host(self, what: str) -> CodeIndex:
        """The same codes in the host's memory. Raises RalmError if they cannot be had there."""
        if self._load_on_host is None:
            raise RalmError(f"A GPU index searches without {what}: search this on the CPU.")
        with self._loading:
            if self._on_host is None:
                self._on_host = self._load_on_host()
        return self._on_host


class SearchableCopy(Protocol):
    """What can begin a search, and returns what waits for its end."""

    def search(self, queries: Assigned, k: int) -> Callable[[], ScoredRows]: ...


def search_copies(copies: Sequence[SearchableCopy], turn: int, queries: Assigned, k: int) -> ScoredRows:
    """Search the copy whose turn it is, or let all share the queries if they are many."""
    if len(copies) == 1 or len(queries) < _SHARED:
        return copies[turn % len(copies)].search(queries, k)()
    ends = [len(queries) * n // len(copies) for n in range(len(copies) + 1)]
    shares = [slice(*some) for some in pairwise(ends)]
    waits = [copy.search(queries[share], k) for copy, share in zip(copies, shares, strict=True)]
    scores, rows = (np.concatenate(part) for part in zip(*(wait() for wait in waits), strict=True))
    return scores, rows


def grouped(devices: Sequence[int], least: int) -> list[Sequence[int]]:
    """Equal groups of at least so many devices, one for each copy; what is left over stays idle."""
    copies = max(1, len(devices) // least)
    size = len(devices) // copies
    return [devices[n * size : (n + 1) * size] for n in range(copies)]


def needs_wide_ids(shards: Sequence[Shard]) -> bool:
    """Whether row ids take more than 32 bits with their sign."""
    return max((first + len(codes) for first, codes in shards), default=0) > 1 << 31


def _require_gpu() -> None:
    if not hasattr(faiss, "StandardGpuResources"):
        raise RalmError("faiss-gpu is not installed: install ralm[gpu] in place of ralm[cpu].")
    if not faiss.get_num_gpus():
        raise RalmError("faiss-gpu finds no GPU: check that nvidia-smi does, or search on the CPU.")
