"""One FAISS index: train, encode a shard, load, search. Knows vectors and rows, not passages.

A shard's codes are kept apart from the trained quantizer and carry no ids: row i of the file is the
i-th row of the shard, so shards are encoded in any order, in parallel, and never again. A graph (HNSW)
has no such codes; it is one file that one task builds.
"""

import ctypes
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.layout import Layout
from datastore.manifest import Device, Manifest
from datastore.store import open_array
from retriever.lists import ListedCodes, fill
from retriever.sizing import IndexKey

# Above so many lists the centroids are trained in two levels: k-means of n points into k centroids
# costs n k, and n grows with k.
_TWO_LEVEL_LISTS = 16_384
_ADD_BLOCK = 1 << 20
# Where the lists of a loaded index lie.
Place = Literal["auto", "memory", "disk"]


def train(key: IndexKey, sample: NDArray[np.float32]) -> Any:
    """Train an empty index on a sample: float32 [n, dimension]. Flat needs none."""
    key.check(sample.shape[1])
    if key.nlist > len(sample):
        raise RalmError(
            f"{key.text} has {key.nlist} lists and only {len(sample)} passages to train on: choose "
            "fewer lists, or Flat."
        )
    index = untrained(key, sample.shape[1])
    ivf = lists_of(index)
    if ivf is not None:
        # FAISS warns of few points a list; how many there are is ours to choose.
        ivf.cp.min_points_per_centroid = 1
        if key.fast_scan:
            # Residual codes need a table for each list, and found less at every setting measured.
            ivf.by_residual = ivf.by_residual and not hasattr(ivf, "pq")
        if ivf.nlist > _TWO_LEVEL_LISTS:
            _train_lists(index, ivf, sample)
    if hasattr(ivf or index, "pq"):
        (ivf or index).pq.cp.min_points_per_centroid = 1
    try:
        index.train(sample)
    except RuntimeError as error:
        if "should be at least as large as" not in str(error):
            raise
        raise RalmError(
            f"{key.text} learns more codes than the {len(sample)} passages to train on: choose Flat."
        ) from None
    return index


def untrained(key: IndexKey, dimension: int) -> Any:
    """An empty index of a key."""
    index = faiss.index_factory(key.first or dimension, key.factory, faiss.METRIC_INNER_PRODUCT)
    if not key.first:
        return index
    # Not brought to unit length again: what is proposed is scored exactly, by all dimensions.
    step = faiss.RemapDimensionsTransform(dimension, key.first, False)
    truncated = faiss.IndexPreTransform(step, index)
    truncated.own_fields = True
    for part in (step, index):
        part.this.disown()  # The whole frees it now, not Python.
    return truncated


def _train_lists(index: Any, ivf: Any, sample: NDArray[np.float32]) -> None:
    """Fill the coarse quantizer with centroids of a two-level k-means."""
    from faiss.contrib.clustering import two_level_clustering

    if isinstance(index, faiss.IndexPreTransform):
        step = faiss.downcast_VectorTransform(index.chain.at(0))
        if not isinstance(step, faiss.RemapDimensionsTransform):
            raise RalmError(f"A rotation and {ivf.nlist} lists cannot be trained together: leave out one.")
        sample = step.apply(sample)
    first = math.isqrt(ivf.nlist)
    centroids, _ = two_level_clustering(sample, first, ivf.nlist, min_points_per_centroid=1)
    faiss.normalize_L2(centroids)
    ivf.quantizer.train(centroids)
    ivf.quantizer.add(centroids)


def lists_of(index: Any) -> Any | None:
    """The inverted-file index inside an index, if there is one."""
    inner = _inner(index)
    return inner if isinstance(inner, faiss.IndexIVF) else None


def _inner(index: Any) -> Any:
    """The index behind a rotation, or the index itself."""
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index


def has_codec(index: Any) -> bool:
    """Whether vectors can be encoded shard by shard and the codes added later."""
    inner = _inner(index)
    if isinstance(inner, faiss.IndexIVFFastScan):
        return False  # Its lists are blocks; `add_sa_codes` would lay single codes into them.
    return isinstance(inner, (faiss.IndexIVF, faiss.IndexFlatCodes))


def to_bytes(index: Any) -> bytes:
    """Serialize an index."""
    return bytes(faiss.serialize_index(index).tobytes())


def read_trained(path: Path) -> Any:
    """Read an index file. Raises RalmError if it is missing or damaged."""
    try:
        return faiss.deserialize_index(np.fromfile(path, np.uint8))
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[-1]
        raise RalmError(f"{path} is not a FAISS index ({reason}): build the store again.") from None


def encode(trained: Any, vectors: NDArray[np.float16], block: int = 65_536) -> NDArray[np.uint8]:
    """Codes of a shard in row order, list number included: float16 [n, d] -> uint8 [n, code size]."""
    out = np.empty((len(vectors), trained.sa_code_size()), np.uint8)
    for at in range(0, len(vectors), block):
        out[at : at + block] = trained.sa_encode(vectors[at : at + block].astype(np.float32))
    return out


@dataclass(frozen=True, slots=True)
class Setting:
    """How hard a search tries: lists probed (0: all there is), and vectors re-scored exactly (0: none)."""

    nprobe: int
    depth: int


class CodeIndex(Protocol):
    """A loaded index, wherever it lies: codes that propose rows."""

    key: IndexKey

    @property
    def rows(self) -> int: ...
    @property
    def nlist(self) -> int: ...
    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> "Assigned": ...
    def search(
        self, queries: "Assigned", k: int, among: Any | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...


def load(root: Path, manifest: Manifest, device: Device = "cpu", place: Place = "auto") -> CodeIndex:
    """Load a store's index: onto the GPUs if it has codes that they search, else into memory.

    `place` "disk" leaves its lists on the disk, "auto" does if they do not fit into memory.
    """
    key = IndexKey.parse(manifest.index.key)
    if device == "cuda" and key.family == "ivf":
        from retriever.gpu import GpuSearchIndex

        return GpuSearchIndex.load(root, manifest)
    if place == "disk":
        return SearchIndex.map(root, manifest)
    if key.family == "ivf" and place == "auto":
        from retriever.mapped import fits

        if not fits(key, manifest.rows, manifest.encoder.dimension):
            return SearchIndex.map(root, manifest)
    return SearchIndex.load(root, manifest)


class SearchIndex:
    """A loaded index over all shards of a store. Searching is safe from several threads."""

    def __init__(self, index: Any, key: IndexKey, laid_out: bool = False) -> None:
        """Take over a filled index; its lists are laid out in blocks if the key says so, unless they are."""
        index = _in_blocks(index) if key.fast_scan and not laid_out else index
        self.key = key
        self._index = index
        self._ivf = lists_of(index)

    @classmethod
    def load(cls, root: Path, manifest: Manifest) -> "SearchIndex":
        """Load the quantizer and every shard's codes into memory."""
        key = IndexKey.parse(manifest.index.key)
        index = read_trained(root / manifest.index.trained.path)
        if lists_of(index) is not None:
            return cls._with_lists(index, key, root, manifest, in_memory=True)
        if not index.ntotal:
            _add_codes(index, root, manifest, key)
        return cls._checked(index, key, manifest)

    @classmethod
    def map(cls, root: Path, manifest: Manifest) -> "SearchIndex":
        """Open an IVF index whose lists stay on disk.

        The first time they are laid out there, in a file as large as all codes and ids.
        """
        key = IndexKey.parse(manifest.index.key)
        index = read_trained(root / manifest.index.trained.path)
        if lists_of(index) is None:
            raise RalmError(
                f"The index {key.text} has no lists that could stay on disk: load it into memory."
            )
        return cls._with_lists(index, key, root, manifest, in_memory=False)

    @classmethod
    def _with_lists(
        cls, index: Any, key: IndexKey, root: Path, manifest: Manifest, in_memory: bool
    ) -> "SearchIndex":
        from retriever.mapped import attach, lay_out

        ivf: Any = lists_of(index)
        codes, each = ListedCodes.of(ivf, root, manifest), int(ivf.code_size)
        # RaBitQ's blocks hold more than codes: FAISS makes them in memory, on disk codes are scanned plain.
        blocks = key.fast_scan and hasattr(ivf, "pq")
        if blocks:
            index = _in_blocks(index)
        inner = _inner(index)
        if in_memory:
            fill(inner, codes, each, blocks)
        else:
            attach(inner, lay_out(Layout(root), codes, inner, each, blocks), each, blocks)
        index.ntotal = inner.ntotal
        if key.fast_scan and in_memory and not blocks:
            index = _in_blocks(index)
        loaded = cls._checked(index, key, manifest)
        _give_back_memory()
        return loaded

    @classmethod
    def _checked(cls, index: Any, key: IndexKey, manifest: Manifest) -> "SearchIndex":
        if index.ntotal != manifest.rows:
            raise RalmError(f"The index has {index.ntotal} rows, the manifest {manifest.rows}.")
        return cls(index, key, laid_out=True)

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    @property
    def bytes(self) -> int:
        """What it holds: codes, ids, centroids and tables."""
        lists = faiss.downcast_InvertedLists(self._ivf.invlists) if self._ivf is not None else None
        mapped = int(lists.totsize) if isinstance(lists, faiss.OnDiskInvertedLists) else 0
        return len(to_bytes(self._index)) + mapped

    @property
    def nlist(self) -> int:
        """Number of lists; 0 if there are none."""
        return int(self._ivf.nlist) if self._ivf is not None else 0

    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> "Assigned":
        """Rotate queries [n, d] and choose the lists that each probes; `nprobe` 0 probes every list.

        Done once for all searches of a query: a matrix product over fewer queries may differ in its last
        bits, and with it the last list probed.
        """
        if self._ivf is None:
            return Assigned(queries, nprobe, None, None)
        if isinstance(self._index, faiss.IndexPreTransform):
            queries = self._index.chain.at(0).apply(queries)
        distances, lists = self._ivf.quantizer.search(queries, min(nprobe or self.nlist, self.nlist))
        return Assigned(queries, nprobe, distances, lists)

    def search(
        self, queries: "Assigned", k: int, among: Any | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k best rows by their codes' inner product: scores [n, k] and rows [n, k], best first.

        `among`, a FAISS selector, leaves out other rows. Where fewer than k are found, the rest of the
        row is -1.
        """
        k = min(k, self.rows)
        # Per request, never set on the shared index: another thread may be searching it.
        chosen = {"sel": among} if among is not None else {}
        if queries.lists is not None:
            probes = queries.lists.shape[1]
            parameters = faiss.SearchParametersIVF(nprobe=probes, **chosen) if chosen else _probing(probes)
            return self._scan(queries, k, parameters)
        parameters = None
        if self.key.family == "hnsw":
            effort = max(queries.nprobe, k)
            parameters = faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        elif chosen:
            parameters = faiss.SearchParameters(**chosen)
        scores, rows = self._index.search(queries.vectors, k, params=parameters)
        return scores, rows

    def _scan(
        self, queries: "Assigned", k: int, parameters: Any
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Search the assigned lists. FAISS's own wrapper of this call takes no parameters."""
        count = len(queries)
        scores, rows = np.empty((count, k), np.float32), np.empty((count, k), np.int64)
        arrays = [queries.vectors, queries.lists, queries.distances, scores, rows]
        vectors, lists, distances, out, ids = (faiss.swig_ptr(np.ascontiguousarray(a)) for a in arrays)
        assert self._ivf is not None  # Only it assigns lists.
        self._ivf.search_preassigned_c(count, vectors, k, lists, distances, out, ids, False, parameters)
        return scores, rows


def _give_back_memory() -> None:
    """Return to the system what loading took for a while: the C library would keep it for the process."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Queries that are ready to search with: vectors [n, d'], and the lists each probes [n, nprobe]."""

    vectors: NDArray[np.float32]
    nprobe: int
    distances: NDArray[np.float32] | None
    lists: NDArray[np.int64] | None

    def __getitem__(self, rows: NDArray[np.int64] | slice) -> "Assigned":
        """Some of the queries."""
        if self.lists is None or self.distances is None:
            return Assigned(self.vectors[rows], self.nprobe, None, None)
        return Assigned(self.vectors[rows], self.nprobe, self.distances[rows], self.lists[rows])

    def __len__(self) -> int:
        return len(self.vectors)


@lru_cache(maxsize=64)
def _probing(nprobe: int) -> Any:
    """Search parameters, shared: nobody changes them, and making them takes as long as a short search."""
    return faiss.SearchParametersIVF(nprobe=nprobe)


def _add_codes(index: Any, root: Path, manifest: Manifest, key: IndexKey) -> None:
    inner = _inner(index)
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


def _in_blocks(index: Any) -> Any:
    """The same codes laid out for fast scan (Andre, Kermarrec, Le Scouarnec 2015)."""
    ivf = _inner(index)
    layout = faiss.IndexIVFPQFastScan if hasattr(ivf, "pq") else faiss.IndexIVFRaBitQFastScan
    fast = layout(ivf)
    # The copy takes the coarse quantizer over, the original is freed with its lists.
    ivf.own_fields, fast.own_fields = False, True
    # Nothing of the original is needed, and Python would keep it alive for the copy: twice the memory.
    fast.referenced_objects.clear()
    ivf.replace_invlists(None, False)
    if ivf is index:
        return fast
    index.index, index.own_fields = fast, True
    fast.this.disown()  # The rotation frees it now, not Python.
    return index


def training_sample(
    shards: Iterable[tuple[NDArray[np.uint64], NDArray[np.float16]]], wanted: int, total: int
) -> NDArray[np.float32]:
    """About `wanted` of `total` vectors, chosen by a hash of their passage keys, in row order.

    Each shard is given as (hashes uint64 [n], vectors float16 [n, d]) and read one at a time.
    """
    share = min(1.0, wanted / max(1, total))
    bound = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    parts = [vectors[hashes <= bound] for hashes, vectors in shards]
    return np.concatenate(parts).astype(np.float32)
