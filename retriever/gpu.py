"""Codes searched on GPUs: FAISS over groups of a store's shards, the lists chosen once for all of them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

Found: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.int64]]"


class GpuSearchIndex:
    """The codes of a store's shards on one or several GPUs. Searching is safe from several threads.

    It answers as `retriever.index.SearchIndex` does, up to 2,048 lists and rows a query (512 rows of scalar
    codes) and without selectors. What it cannot answer goes to such an index of the same codes in the host's
    memory, which is loaded the first time.
    """

    def __init__(
        self,
        trained: Any,
        key: IndexKey,
        groups: Sequence[Sequence[Shard]],
        devices: Sequence[int] = (0,),
        on_host: "Callable[[], SearchIndex] | None" = None,
    ) -> None:
        """Load each group of shards onto a GPU: the groups in turn onto the devices given."""
        _require_gpu()
        self.key = key
        self._load_on_host = on_host
        self._on_host: SearchIndex | None = None
        self._loading = Lock()
        self.rows = sum(len(codes) for group in groups for _, codes in group)
        self._trained = trained
        self._ivf = lists_of(trained)
        self._device = torch.device("cuda", devices[0])
        centroids = torch.from_numpy(self._ivf.quantizer.reconstruct_n(0, self._ivf.nlist))
        self._factor = quickest(centroids.to(self._device)).T
        self._owners = [_Owner(device, self._ivf) for device in dict.fromkeys(devices)]
        loads = [self._owners[n % len(self._owners)].load(group) for n, group in enumerate(groups) if group]
        for load in loads:
            load.result()

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
        key, groups = IndexKey.parse(manifest.index.key), spread(shards, len(devices))
        return cls(trained, key, groups, devices, lambda: in_memory(root, manifest))

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
        searches = [search for owner in self._owners for search in owner.search(queries, k)]
        found = [search.result() for search in searches]
        scores, rows = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
        if len(found) == 1:
            return scores, rows
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, best, axis=1), np.take_along_axis(rows, best, axis=1)

    def _host(self, what: str) -> "SearchIndex":
        """The same codes in the host's memory. Raises RalmError if they cannot be had there."""
        if self._load_on_host is None:
            raise RalmError(f"A GPU index searches without {what}: search this on the CPU.")
        with self._loading:
            if self._on_host is None:
                self._on_host = self._load_on_host()
        return self._on_host


def spread(shards: Sequence[Shard], count: int) -> list[list[Shard]]:
    """Cut a store's shards into runs of about equal rows, one for each GPU; some may be empty."""
    total = max(1, sum(len(codes) for _, codes in shards))
    groups: list[list[Shard]] = [[] for _ in range(count)]
    seen = 0
    for first_row, codes in shards:
        # By its middle row: a shard goes where most of it belongs.
        groups[min(count - 1, (2 * seen + len(codes)) * count // (2 * total))].append((first_row, codes))
        seen += len(codes)
    return groups


class _Owner:
    """One GPU and the one thread that may touch it: FAISS's GPU indexes are not safe between threads."""

    def __init__(self, device: int, trained: Any) -> None:
        self._device = device
        self._trained = trained
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"gpu{device}")
        self._resources = faiss.StandardGpuResources()
        self._groups: list[tuple[int, Any]] = []

    def load(self, shards: Sequence[Shard]) -> "Future[None]":
        """Load shards as one more group."""
        return self._thread.submit(self._load, shards)

    def search(self, queries: "Assigned", k: int) -> "list[Future[Found]]":
        """Search the assigned lists of every group."""
        return [self._thread.submit(self._scan, group, queries, k) for group in self._groups]

    def _load(self, shards: Sequence[Shard]) -> None:
        # Through lists in the host's memory, of one group: FAISS takes codes onto a GPU in no other way.
        index = faiss.clone_index(self._trained)
        first = min(first_row for first_row, _ in shards)
        for rows, codes in in_bulk(shards, _BULK * shards[0][1].shape[1]):
            self._append(index, codes, rows - first)
        torch.cuda.empty_cache()  # FAISS needs the memory that sorting took.
        self._groups.append((first, _on_gpu(index, self._resources, self._device)))

    def _append(self, index: Any, codes: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """Append codes to their lists, sorted: FAISS's `add_sa_codes` takes them one by one."""
        here = torch.from_numpy(codes).to(torch.device("cuda", self._device))
        width = index.coarse_code_size()
        lists = sum(here[:, n].long() << (8 * n) for n in range(width))
        order = lists.argsort(stable=True)
        ends = torch.bincount(lists, minlength=index.nlist).cumsum(0).tolist()
        bodies, ids = here[order, width:].cpu().numpy(), rows[order.cpu().numpy()]
        for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            if start < end:
                given = faiss.swig_ptr(ids[start:end]), faiss.swig_ptr(bodies[start:end].ravel())
                index.invlists.add_entries(number, end - start, *given)
        index.ntotal += len(codes)

    def _scan(self, group: tuple[int, Any], queries: "Assigned", k: int) -> Found:
        first, index = group
        assert queries.lists is not None  # Every query of ours is assigned.
        assert queries.distances is not None
        # Lists of codes that are no residuals lie at the origin: see _product_on_gpu.
        distances = queries.distances if self._trained.by_residual else np.zeros_like(queries.distances)
        count = len(queries)
        scores, rows = np.empty((count, k), np.float32), np.empty((count, k), np.int64)
        held = [np.ascontiguousarray(a) for a in (queries.vectors, queries.lists, distances)]
        vectors, lists, distances = map(faiss.swig_ptr, held)
        parameters = faiss.SearchParametersIVF(nprobe=queries.lists.shape[1])
        out, ids = faiss.swig_ptr(scores), faiss.swig_ptr(rows)
        index.search_preassigned_c(count, vectors, k, lists, distances, out, ids, False, parameters)
        rows[rows >= 0] += first
        return scores, rows


def _on_gpu(index: Any, resources: Any, device: int) -> Any:
    """A GPU's copy of an index; its ids have 32 bits, which a group's own row numbers fit into."""
    try:
        if isinstance(index, faiss.IndexIVFPQ):
            return _product_on_gpu(index, resources, device)
        if isinstance(index, faiss.IndexIVFScalarQuantizer):
            settings = faiss.GpuIndexIVFScalarQuantizerConfig()
            settings.device, settings.indicesOptions = device, faiss.INDICES_32_BIT
            return faiss.GpuIndexIVFScalarQuantizer(resources, index, settings)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise RalmError(f"FAISS loads these codes onto no GPU ({reason}): search them on the CPU.") from None
    raise RalmError(f"{type(index).__name__} has no form on GPUs: search it on the CPU, or choose PQ codes.")


def _product_on_gpu(index: Any, resources: Any, device: int) -> Any:
    settings = faiss.GpuIndexIVFPQConfig()
    settings.device, settings.indicesOptions = device, faiss.INDICES_32_BIT
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
