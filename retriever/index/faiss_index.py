"""One FAISS index: train, encode a shard, search. Knows vectors and rows, not passages, nor where codes lie.

A shard's codes are kept apart from the trained quantizer and carry no ids: row i of the file is the
i-th row of the shard, so shards are encoded in any order, in parallel, and never again. A graph (HNSW)
has no such codes; it is one file that one task builds.

Decisions: docs/decisions/index-and-codes.md.
"""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from base.amounts import amount
from base.errors import RalmError
from retriever.index.code_index import Assigned, ScoredRows
from retriever.index.sizing import IndexKey

# Above so many lists the centroids are trained in two levels: k-means of n points into k centroids
# costs n k, and n grows with k.
_TWO_LEVEL_LISTS = 16_384


def train(key: IndexKey, sample: NDArray[np.float32]) -> Any:
    """Train an empty index on a sample: float32 [n, dimension]. Flat needs none."""
    key.check(sample.shape[1])
    key.require_passages(len(sample), sample.shape[1])
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
    inner = inner_of(index)
    if hasattr(inner, "pq"):
        inner.pq.cp.min_points_per_centroid = 1
    codes = faiss.downcast_index(inner.storage) if isinstance(inner, faiss.IndexHNSW) else inner
    if hasattr(codes, "do_polysemous_training"):
        # FAISS would number codes so that their bits tell of distances too, by simulated annealing: 0.2 s for
        # each number of 4 bits, 3 s for one of 8. No search of ours looks at bits.
        codes.do_polysemous_training = False
    try:
        with _quiet_rotations(index):
            index.train(sample)
    except (RuntimeError, MemoryError) as error:
        few = f"{amount(len(sample), 'passages')} to train on"
        if "should be at least as large as" in str(error):
            raise RalmError(f"{key.text} learns more codes than the {few}: choose Flat.") from None
        raise RalmError(
            f"FAISS trains no index {key.text} on the {few} ({reason(error)}): choose Flat."
        ) from None
    return index


@contextmanager
def _quiet_rotations(index: Any) -> Iterator[None]:
    """Have rotations learn by codes that do not warn of few points, some hundred times each.

    FAISS makes such codes itself where it is given none, and owns none that it is given.
    """
    whole = isinstance(index, faiss.IndexPreTransform)
    chain = [
        faiss.downcast_VectorTransform(index.chain.at(n)) for n in range(index.chain.size() if whole else 0)
    ]
    rotations = [step for step in chain if isinstance(step, faiss.OPQMatrix)]
    codes = [faiss.ProductQuantizer(step.d_out, step.M, 8) for step in rotations]
    for step, code in zip(rotations, codes, strict=True):
        code.cp.min_points_per_centroid = 1
        step.pq = code
    try:
        yield
    finally:
        for step in rotations:
            step.pq = None


def reason(error: BaseException) -> str:
    """What FAISS says, without where in its sources it says so."""
    last = (str(error) or type(error).__name__).splitlines()[-1]
    return re.sub(r"^Error in .* at \S+:\d+: (Error: '.*' failed: )?", "", last).strip()[:200]


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
        if index.chain.size() > 1 or not isinstance(step, faiss.RemapDimensionsTransform):
            raise RalmError(f"A rotation and {ivf.nlist} lists cannot be trained together: leave out one.")
        sample = step.apply(sample)
    first = math.isqrt(ivf.nlist)
    centroids, _ = two_level_clustering(sample, first, ivf.nlist, min_points_per_centroid=1)
    faiss.normalize_L2(centroids)
    ivf.quantizer.train(centroids)
    ivf.quantizer.add(centroids)


def lists_of(index: Any) -> Any | None:
    """The inverted-file index inside an index, if there is one."""
    inner = inner_of(index)
    return inner if isinstance(inner, faiss.IndexIVF) else None


def inner_of(index: Any) -> Any:
    """The index behind a rotation, or the index itself."""
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index


def has_codec(index: Any) -> bool:
    """Whether vectors can be encoded shard by shard and the codes added later."""
    inner = inner_of(index)
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
        raise RalmError(f"{path} is not a FAISS index ({reason(error)}): build the store again.") from None


def encode(trained: Any, vectors: NDArray[np.float16], block: int = 65_536) -> NDArray[np.uint8]:
    """Codes of a shard in row order, list number included: float16 [n, d] -> uint8 [n, code size]."""
    out = np.empty((len(vectors), trained.sa_code_size()), np.uint8)
    for at in range(0, len(vectors), block):
        out[at : at + block] = trained.sa_encode(vectors[at : at + block].astype(np.float32))
    return out


class SearchIndex:
    """A loaded index over all shards of a store. Searching is safe from several threads."""

    def __init__(self, index: Any, key: IndexKey, laid_out: bool = False, mapped: Path | None = None) -> None:
        """Take over a filled index; its lists are laid out in blocks if the key says so, unless they are.

        `mapped` is the file that they lie in, if they stay on disk.
        """
        index = as_fast_scan(index) if key.fast_scan and not laid_out else index
        self.key = key
        self._mapped = mapped
        self._index = index
        self._ivf = lists_of(index)

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

    def assign(self, queries: NDArray[np.float32], nprobe: int = 0) -> Assigned:
        """Rotate queries [n, d] and choose the lists that each probes; `nprobe` 0 probes every list.

        Done once for all searches of a query: a matrix product over fewer queries may differ in its last
        bits, and with it the last list probed.
        """
        if self._ivf is None:
            return Assigned(queries, nprobe, None, None)
        if isinstance(self._index, faiss.IndexPreTransform):
            for step in range(self._index.chain.size()):
                queries = self._index.chain.at(step).apply(queries)
        distances, lists = self._ivf.quantizer.search(queries, min(nprobe or self.nlist, self.nlist))
        return Assigned(queries, nprobe, distances, lists)

    def selector(self, rows: NDArray[np.uint8]) -> Any:
        """What a search takes as `among`; FAISS keeps a pointer to the bits."""
        return faiss.IDSelectorBitmap(rows)

    def search(self, queries: Assigned, k: int, among: Any | None = None) -> ScoredRows:
        """The k best rows by their codes' inner product.

        `among`, a FAISS selector, leaves out other rows.
        """
        k = min(k, self.rows)
        # Per request, never set on the shared index: another thread may be searching it.
        chosen = {"sel": among} if among is not None else {}
        if queries.lists is not None:
            probes = queries.lists.shape[1]
            parameters = faiss.SearchParametersIVF(nprobe=probes, **chosen) if chosen else _probing(probes)
            return self._scan(queries, k, parameters)
        parameters = None
        if self.key.is_graph:
            effort = max(queries.nprobe, k)
            parameters = faiss.SearchParametersHNSW(efSearch=effort, **chosen)
        elif chosen:
            parameters = faiss.SearchParameters(**chosen)
        scores, rows = self._index.search(queries.vectors, k, params=parameters)
        return scores, rows

    def _scan(self, queries: Assigned, k: int, parameters: Any) -> ScoredRows:
        """Search the assigned lists. FAISS's own wrapper of this call takes no parameters."""
        count = len(queries)
        scores, rows = np.empty((count, k), np.float32), np.empty((count, k), np.int64)
        arrays = [queries.vectors, queries.lists, queries.distances, scores, rows]
        vectors, lists, distances, out, ids = (faiss.swig_ptr(np.ascontiguousarray(a)) for a in arrays)
        assert self._ivf is not None  # Only it assigns lists.
        self._ivf.search_preassigned_c(count, vectors, k, lists, distances, out, ids, False, parameters)
        if self._mapped is not None and rows.size and not -1 <= rows.min() <= rows.max() < self.rows:
            # Too large to be compared when it was opened. It is derived: it need not be restored.
            raise RalmError(
                f"{self._mapped} is damaged: delete it and open the store again, which writes it anew."
            )
        return scores, rows


@lru_cache(maxsize=64)
def _probing(nprobe: int) -> Any:
    """Search parameters, shared: nobody changes them, and making them takes as long as a short search."""
    return faiss.SearchParametersIVF(nprobe=nprobe)


def as_fast_scan(index: Any) -> Any:
    """The same codes laid out for fast scan (Andre, Kermarrec, Le Scouarnec 2015)."""
    ivf = inner_of(index)
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
