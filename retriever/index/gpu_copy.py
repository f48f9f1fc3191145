"""One copy of a store's codes on one GPU or several, each with the one thread that may use FAISS on it.

Decisions: docs/decisions/gpu.md.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import RalmError
from retriever.index.code_index import Assigned, ScoredRows
from retriever.index.lists import Shard, in_bulk

# Codes sorted by list at once when they are loaded, in bytes, from several shards if need be: reaching a list
# takes as long as appending some fifty codes of 48 bytes to it. A GPU needs about three times this for it.
_BULK_BYTES = 1 << 30
# Of a GPU's free memory what codes and ids may take, beside FAISS's temporary data; and how much more than
# their bytes that is, since FAISS rounds each list up (100 million codes of 48 bytes with ids of 4: 5.5 GB).
_MOST_OF_FREE = 0.8
_TEMPORARY_BYTES = 3 << 29
_ROUNDED_UP = 1.25
# Hits of several GPUs that are sorted on one of them: sorting them here would take as long as the search.
_MANY = 1 << 14
# The parts of 8 bits that FAISS's quicker layout of lists has a kernel for (its wiki, "Faiss on the GPU").
_PARTS = {1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96}


class GpuCopy:
    """A copy of the codes whose lists the GPUs given share. Searching is safe from several threads.

    A GPU given twice holds two parts, for tests.
    """

    def __init__(self, trained: Any, devices: Sequence[int]) -> None:
        """`trained`: an IVF index of product or scalar codes, without rotations before it."""
        self._owners = [_Owner(device, trained, n, len(devices)) for n, device in enumerate(devices)]
        self._device = torch.device("cuda", devices[0])

    def sort(self, shards: Sequence[Shard]) -> list[Any]:
        """Sort the shards' codes into lists in the host's memory: an index for each GPU. Raises RalmError."""
        return [future.result() for future in [owner.sort(shards) for owner in self._owners]]

    def load(self, lists: Sequence[Any], wide_ids: bool) -> "list[Future[None]]":
        """Begin to load what `sort` made, of this copy or another; ids of 32 bits, or 64 if `wide_ids`."""
        return [owner.load(its, wide_ids) for owner, its in zip(self._owners, lists, strict=True)]

    def search(self, queries: Assigned, k: int) -> Callable[[], ScoredRows]:
        """Begin a search; what is returned waits for the k best of each query, -1 where there are fewer."""
        searches = [owner.search(queries, k) for owner in self._owners]

        def wait() -> ScoredRows:
            found = [search.result() for search in searches]
            return found[0] if len(found) == 1 else self._best(found, k)

        return wait

    def _best(self, found: Sequence[ScoredRows], k: int) -> ScoredRows:
        scores, rows = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        if scores.size < _MANY:
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
        all_scores, all_rows = (torch.from_numpy(part).to(self._device) for part in (scores, rows))
        best, places = all_scores.sort(dim=1, descending=True, stable=True)
        return best[:, :k].cpu().numpy(), all_rows.gather(1, places[:, :k]).cpu().numpy()


class _Owner:
    """One GPU and the one thread that may use FAISS on it: its GPU indexes are not safe between threads.

    The `part`-th of a copy's `parts` holds the lists whose number leaves `part` when divided by `parts`; the
    others are empty there. The numbers of lists that lie near each other are consecutive or random: a query's
    are on all GPUs either way.
    """

    def __init__(self, device: int, trained: Any, part: int, parts: int) -> None:
        self._device = device
        self._trained = trained
        self._part = part
        self._parts = parts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"gpu{device}")
        self._resources = faiss.StandardGpuResources()
        self._index: Any = None

    def sort(self, shards: Sequence[Shard]) -> "Future[Any]":
        return self._thread.submit(self._sort, shards)

    def load(self, index: Any, wide_ids: bool) -> "Future[None]":
        return self._thread.submit(self._load, index, wide_ids)

    def search(self, queries: Assigned, k: int) -> "Future[ScoredRows]":
        return self._thread.submit(self._scan, queries, k)

    def _sort(self, shards: Sequence[Shard]) -> Any:
        # FAISS takes codes onto a GPU from such an index alone.
        index = faiss.clone_index(self._trained)
        try:
            for rows, codes in in_bulk(shards, _BULK_BYTES):
                self._append(index, codes, rows)
        except torch.OutOfMemoryError:
            raise RalmError(
                f"GPU {self._device} has too little memory free to sort codes: end what else runs there, or "
                "search them on the CPU."
            ) from None
        torch.cuda.empty_cache()  # FAISS needs the memory that sorting took.
        if not index.by_residual and isinstance(index, faiss.IndexIVFPQ):
            # FAISS has no kernel for codes that are no residuals. Residuals from the origin are the same.
            index.quantizer.reset()
            index.quantizer.add(np.zeros((index.nlist, index.d), np.float32))
            index.by_residual = True
        return index

    def _append(self, index: Any, codes: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """Append codes to their lists, sorted: FAISS's `add_sa_codes` takes them one by one."""
        here = torch.from_numpy(codes).to(torch.device("cuda", self._device))
        width = index.coarse_code_size()
        lists = torch.zeros(len(here), dtype=torch.int64, device=here.device)
        for n in range(width):
            lists |= here[:, n].long() << (8 * n)
        mine = (lists % self._parts == self._part).nonzero().squeeze(1)
        order = mine[lists[mine].argsort(stable=True)]
        ends = torch.bincount(lists[mine], minlength=index.nlist).cumsum(0).tolist()
        bodies, ids = here[order, width:].cpu().numpy(), rows[order.cpu().numpy()]
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if start < end:
                given = faiss.swig_ptr(ids[start:end]), faiss.swig_ptr(bodies[start:end].ravel())
                index.invlists.add_entries(number, end - start, *given)
        index.ntotal += len(order)

    def _load(self, index: Any, wide_ids: bool) -> None:
        try:
            self._index = _on_gpu(index, self._resources, self._device, wide_ids)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1]
            raise RalmError(
                f"FAISS loads these codes onto no GPU ({reason}): search them on the CPU."
            ) from None
        # Python would keep the host's lists alive for it, though it has copied all: twice the memory.
        self._index.referenced_objects.clear()

    def _scan(self, queries: Assigned, k: int) -> ScoredRows:
        lists, distances = queries.lists, queries.distances
        assert lists is not None  # Every query of ours is assigned.
        assert distances is not None
        if self._parts > 1:
            # FAISS skips -1. Fewer columns, with only the lists that are here, would take it as long.
            lists = np.where(lists % self._parts == self._part, lists, -1)
        if not self._trained.by_residual:
            distances = np.zeros_like(distances)  # Lists at the origin: see `_sort`.
        scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        held = [np.ascontiguousarray(a) for a in (queries.vectors, lists, distances)]
        vectors, numbers, coarse = map(faiss.swig_ptr, held)
        parameters = faiss.SearchParametersIVF(nprobe=lists.shape[1])
        out, ids = faiss.swig_ptr(scores), faiss.swig_ptr(rows)
        self._index.search_preassigned_c(
            len(queries), vectors, k, numbers, coarse, out, ids, False, parameters
        )
        return scores, rows


def gpus_of_a_copy(size: int, devices: Sequence[int]) -> int:
    """How many of the GPUs hold `size` bytes of codes and ids together, by the fullest; all, if too few."""
    torch.cuda.empty_cache()  # What PyTorch only keeps is free.
    free = min(int(torch.cuda.mem_get_info(device)[0]) for device in devices) - _TEMPORARY_BYTES
    needed = math.ceil(_ROUNDED_UP * size / (_MOST_OF_FREE * max(1, free)))
    return min(len(devices), max(1, needed))


def _on_gpu(index: Any, resources: Any, device: int, wide_ids: bool) -> Any:
    """A GPU's copy of an index."""
    scalar = isinstance(index, faiss.IndexIVFScalarQuantizer)
    settings = faiss.GpuIndexIVFScalarQuantizerConfig() if scalar else faiss.GpuIndexIVFPQConfig()
    settings.device = device
    settings.indicesOptions = faiss.INDICES_64_BIT if wide_ids else faiss.INDICES_32_BIT
    if scalar:
        return faiss.GpuIndexIVFScalarQuantizer(resources, index, settings)
    settings.useFloat16LookupTables = True
    settings.interleavedLayout = index.pq.nbits != 8 or index.pq.M not in _PARTS
    return faiss.GpuIndexIVFPQ(resources, index, settings)
