"""Codes searched on GPUs: a copy on each, or one on several that share its lists where it is too large."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from datastore.errors import RalmError
from retriever.codec import lists_of, product, quickest, rows_at_once, steps
from retriever.lists import Shard, in_bulk
from retriever.sizing import IndexKey

if TYPE_CHECKING:
    from datastore.manifest import Manifest
    from retriever.index import Assigned, SearchIndex

# How many codes are sorted by list at once when they are loaded, from several shards if need be: reaching a
# list takes as long as appending some fifty codes to it.
_BULK = 1 << 24
# FAISS's limits on GPUs (its wiki, "Faiss on the GPU"): the deepest selection, and the parts of 8 bits that
# its quicker layout of lists has a kernel for.
_DEEPEST = 2048
_PARTS = {1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96}
# Of scalar codes: a deeper selection and the codes' ranges exceed the 48 KiB that a block of threads may
# share, and FAISS ends the process (faiss issue 4509; seen with 384 dimensions and k 2,000).
_DEEPEST_SCALAR = 512
# Queries that the copies share; fewer go to one of them, all the same.
_SHARED = 64
# Of a GPU's free memory, what codes and ids may take; and how much more than their bytes that is, since FAISS
# rounds each list up (100 million codes of 48 bytes with ids of 4 took 5.5 GB beside 1.5 of temporary data).
_MOST_OF_FREE = 0.8
_ROUNDED_UP = 1.25
# Hits of several GPUs that are sorted on one of them: sorting them here would take as long as the search.
_MANY = 1 << 14

Found: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.int64]]"


class GpuSearchIndex:
    """The codes of a store's shards on one or several GPUs. Searching is safe from several threads.

    It answers as `retriever.index.SearchIndex` does, up to 2,048 lists and rows a query (512 rows of scalar
    codes) and without selectors. What it cannot answer goes to such an index of the same codes in the host's
    memory, which is loaded the first time.

    There are as many copies of the codes as the GPUs hold. Copies share the queries of a batch, or take
    turns; the GPUs of one copy share its lists, and take part in each of its searches.
    """

    def __init__(
        self,
        trained: Any,
        key: IndexKey,
        shards: Sequence[Shard],
        devices: Sequence[int] = (0,),
        on_host: "Callable[[], SearchIndex] | None" = None,
        gpus_a_copy: int = 0,
    ) -> None:
        """Load shards onto the devices given: as many copies as fit, or each on so many GPUs."""
        _require_gpu()
        self.key = key
        self._load_on_host = on_host
        self._on_host: SearchIndex | None = None
        self._loading = Lock()
        self.rows = sum(len(codes) for _, codes in shards)
        self._trained = trained
        self._ivf = lists_of(trained)
        self._device = torch.device("cuda", devices[0])
        centroids = torch.from_numpy(self._ivf.quantizer.reconstruct_n(0, self._ivf.nlist))
        self._factor = quickest(centroids.to(self._device)).T
        size = self.rows * (self._ivf.code_size + _id_bytes(shards))
        parts = gpus_a_copy or gpus_of_a_copy(size, devices)
        self._copies = [
            [_Owner(device, self._ivf, part, parts) for part, device in enumerate(devices[at : at + parts])]
            for at in range(0, len(devices) - parts + 1, parts)
        ]
        self._turns = count()
        self._fill(shards)

    def _fill(self, shards: Sequence[Shard]) -> None:
        """Load the codes into every copy, all of them from the same lists in the host's memory."""
        lists = [owner.sort(shards) for owner in self._copies[0]]
        ids = faiss.INDICES_64_BIT if _id_bytes(shards) > 4 else faiss.INDICES_32_BIT
        for copy in self._copies:
            for loaded in [owner.load(its.result(), ids) for owner, its in zip(copy, lists, strict=True)]:
                loaded.result()

    @classmethod
    def load(cls, root: Path, manifest: "Manifest", devices: Sequence[int] | None = None) -> "GpuSearchIndex":
        """Load every shard's codes of a store: onto all GPUs, unless told which."""
        from datastore.store import open_array
        from retriever.index import read_trained
        from retriever.loading import in_memory

        _require_gpu()
        devices = devices or range(faiss.get_num_gpus())
        trained = read_trained(root / manifest.index.trained.path)
        shards = [(s.first_row, open_array(root / s.codes.path)) for s in manifest.shards if s.codes]
        key = IndexKey.parse(manifest.index.key)
        return cls(trained, key, shards, devices, lambda: in_memory(root, manifest))

    @property
    def nlist(self) -> int:
        """Number of lists."""
        return int(self._ivf.nlist)

    @property
    def _deepest(self) -> int:
        """The most rows that FAISS selects on a GPU."""
        return _DEEPEST_SCALAR if isinstance(self._ivf, faiss.IndexIVFScalarQuantizer) else _DEEPEST

    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> "Assigned":
        """Rotate queries [n, d] and choose the lists that each probes; `nprobe` 0 probes every list."""
        from retriever.index import Assigned

        probed = min(nprobe or self.nlist, self.nlist)
        if probed > _DEEPEST:
            return self._host(f"nprobe {probed}").assign(queries, nprobe)
        for step in steps(self._trained):
            queries = step.apply(queries)
        here = torch.from_numpy(np.ascontiguousarray(queries)).to(self._device)
        blocks = here.to(self._factor.dtype).split(rows_at_once(self.nlist, self._device))
        best = [product(block, self._factor).topk(probed) for block in blocks]
        distances, lists = (np.concatenate([t.cpu() for t in part]) for part in zip(*best, strict=True))
        return Assigned(queries, nprobe, distances, lists)

    def search(self, queries: "Assigned", k: int, among: Any | None = None) -> Found:
        """The k best rows by their codes' inner product: scores [n, k] and rows [n, k], best first.

        Where fewer than k are found, the rest of the row is -1.
        """
        k = min(k, self.rows)
        assert queries.lists is not None  # Every query of ours is assigned.
        if among is not None or k > self._deepest or queries.lists.shape[1] > _DEEPEST:
            return self._host("a selector" if among is not None else f"k {k}").search(queries, k, among)
        if len(self._copies) == 1 or len(queries) < _SHARED:
            return self._begin(next(self._turns), queries, k)()
        shares = np.array_split(np.arange(len(queries)), len(self._copies))
        searches = [self._begin(turn, queries[slice(s[0], s[-1] + 1)], k) for turn, s in enumerate(shares)]
        scores, rows = (np.concatenate(part) for part in zip(*(end() for end in searches), strict=True))
        return scores, rows

    def _begin(self, turn: int, queries: "Assigned", k: int) -> Callable[[], Found]:
        """Begin a search of the copy whose turn it is; what is returned waits for what it finds."""
        searches = [owner.search(queries, k) for owner in self._copies[turn % len(self._copies)]]

        def end() -> Found:
            found = [search.result() for search in searches]
            return found[0] if len(found) == 1 else self._best(found, k)

        return end

    def _best(self, found: Sequence[Found], k: int) -> Found:
        """The best of what the GPUs of one copy found."""
        scores, rows = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        if scores.size < _MANY:
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
        there, its = (torch.from_numpy(part).to(self._device) for part in (scores, rows))
        best, places = there.sort(dim=1, descending=True, stable=True)
        return best[:, :k].cpu().numpy(), its.gather(1, places[:, :k]).cpu().numpy()

    def _host(self, what: str) -> "SearchIndex":
        """The same codes in the host's memory. Raises RalmError if they cannot be had there."""
        if self._load_on_host is None:
            raise RalmError(f"A GPU index searches without {what}: search this on the CPU.")
        with self._loading:
            if self._on_host is None:
                self._on_host = self._load_on_host()
        return self._on_host


class _Owner:
    """One GPU and the one thread that may touch it: FAISS's GPU indexes are not safe between threads.

    The `part`-th of a copy's `parts` holds the lists whose number leaves `part` when divided by `parts`; the
    others are empty there. Neighbours have neighbouring numbers, so that a query's lists lie on all GPUs.
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
        """Sort this part of the shards' codes into lists in the host's memory: an index there."""
        return self._thread.submit(self._sort, shards)

    def load(self, index: Any, ids: int) -> "Future[None]":
        """Load such an index onto the GPU, with row ids of the kind given."""
        return self._thread.submit(self._load, index, ids)

    def search(self, queries: "Assigned", k: int) -> "Future[Found]":
        """Search those of the assigned lists that are here."""
        return self._thread.submit(self._scan, queries, k)

    def _sort(self, shards: Sequence[Shard]) -> Any:
        index = faiss.clone_index(self._trained)
        for rows, codes in in_bulk(shards, _BULK * self._trained.code_size):
            self._append(index, codes, rows)
        torch.cuda.empty_cache()  # FAISS needs the memory that sorting took.
        return index

    def _load(self, index: Any, ids: int) -> None:
        self._index = _on_gpu(index, self._resources, self._device, ids)

    def _append(self, index: Any, codes: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """Append codes to their lists, sorted: FAISS's `add_sa_codes` takes them one by one."""
        here = torch.from_numpy(codes).to(torch.device("cuda", self._device))
        width = index.coarse_code_size()
        lists = sum(here[:, n].long() << (8 * n) for n in range(width))
        mine = (lists % self._parts == self._part).nonzero().squeeze(1)
        order = mine[lists[mine].argsort(stable=True)]
        ends = torch.bincount(lists[mine], minlength=index.nlist).cumsum(0).tolist()
        bodies, ids = here[order, width:].cpu().numpy(), rows[order.cpu().numpy()]
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if start < end:
                given = faiss.swig_ptr(ids[start:end]), faiss.swig_ptr(bodies[start:end].ravel())
                index.invlists.add_entries(number, end - start, *given)
        index.ntotal += len(order)

    def _scan(self, queries: "Assigned", k: int) -> Found:
        assert queries.lists is not None  # Every query of ours is assigned.
        assert queries.distances is not None
        # FAISS skips -1. Fewer columns, with only the lists that are here, would take it as long.
        lists = np.where(queries.lists % self._parts == self._part, queries.lists, -1)
        # Lists of codes that are no residuals lie at the origin: see _product_on_gpu.
        distances = queries.distances if self._trained.by_residual else np.zeros_like(queries.distances)
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
    """How many of the GPUs hold one copy of codes and ids of `size` bytes together; all, if too few."""
    free = min(int(torch.cuda.mem_get_info(device)[0]) for device in devices)
    return min(len(devices), max(1, math.ceil(_ROUNDED_UP * size / (_MOST_OF_FREE * free))))


def _id_bytes(shards: Sequence[Shard]) -> int:
    """What a row's id takes on a GPU."""
    return 4 if max((first + len(codes) for first, codes in shards), default=0) < 1 << 31 else 8


def _on_gpu(index: Any, resources: Any, device: int, ids: int) -> Any:
    """A GPU's copy of an index, with row ids of the kind given."""
    try:
        if isinstance(index, faiss.IndexIVFPQ):
            return _product_on_gpu(index, resources, device, ids)
        if isinstance(index, faiss.IndexIVFScalarQuantizer):
            settings = faiss.GpuIndexIVFScalarQuantizerConfig()
            settings.device, settings.indicesOptions = device, ids
            return faiss.GpuIndexIVFScalarQuantizer(resources, index, settings)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise RalmError(f"FAISS loads these codes onto no GPU ({reason}): search them on the CPU.") from None
    raise RalmError(f"{type(index).__name__} has no form on GPUs: search it on the CPU, or choose PQ codes.")


def _product_on_gpu(index: Any, resources: Any, device: int, ids: int) -> Any:
    settings = faiss.GpuIndexIVFPQConfig()
    settings.device, settings.indicesOptions = device, ids
    settings.useFloat16LookupTables = True
    settings.interleavedLayout = index.pq.nbits != 8 or index.pq.M not in _PARTS
    if not index.by_residual:
        # FAISS has no kernel for codes that are no residuals. Residuals from the origin are the same.
        index.quantizer.reset()
        index.quantizer.add(np.zeros((index.nlist, index.d), np.float32))
        index.by_residual = True
    return faiss.GpuIndexIVFPQ(resources, index, settings)


def _require_gpu() -> None:
    if not hasattr(faiss, "StandardGpuResources"):
        raise RalmError("faiss-gpu is not installed: install ralm[gpu] in place of ralm[cpu].")
    if not faiss.get_num_gpus():
        raise RalmError("faiss-gpu finds no GPU: check that nvidia-smi does, or search on the CPU.")
