"""One FAISS index: train, encode a shard, load, search. Knows vectors and rows, not passages.

A shard's codes are kept apart from the trained quantizer and carry no ids: row i of the file is the
i-th row of the shard, so shards are encoded in any order, in parallel, and never again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.manifest import Manifest
from datastore.store import open_array
from retriever.sizing import IndexKey


def train(key: IndexKey, sample: NDArray[np.float32]) -> Any:
    """Train an empty index on a sample: float32 [n, dimension]. Flat needs none."""
    factory = key.text if key.nlist else "SQfp16"
    if key.nlist > len(sample):
        raise RalmError(
            f"{key.text} has {key.nlist} lists and only {len(sample)} passages to train on: choose "
            "fewer lists, or Flat."
        )
    index = faiss.index_factory(sample.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
    if key.nlist:
        # FAISS warns of few points a list; how many there are is ours to choose.
        index.cp.min_points_per_centroid = 1  # type: ignore[attr-defined]
    index.train(sample)
    return index


def to_bytes(index: Any) -> bytes:
    """Serialize an index."""
    return bytes(faiss.serialize_index(index).tobytes())


def read_trained(path: Path) -> Any:
    """Read a trained, empty index. Raises RalmError if the file is damaged."""
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


class SearchIndex:
    """A loaded index over all shards of a store. Searching is safe from several threads."""

    def __init__(self, index: Any, nprobe: int) -> None:
        self._index = index
        self._nprobe = nprobe

    @classmethod
    def load(cls, root: Path, manifest: Manifest) -> "SearchIndex":
        """Load the quantizer and every shard's codes into memory."""
        index = read_trained(root / manifest.index.trained.path)
        for shard in manifest.shards:
            if shard.codes is None:
                # Flat: the stored float16 vectors are the codes.
                vectors = open_array(root / shard.vectors.path)
                index.add_sa_codes(np.ascontiguousarray(vectors).view(np.uint8))
            else:
                codes = np.ascontiguousarray(open_array(root / shard.codes.path))
                rows = np.arange(shard.first_row, shard.first_row + shard.rows)
                index.add_sa_codes(codes, rows)
        if index.ntotal != manifest.rows:
            raise RalmError(f"The index has {index.ntotal} rows, the manifest {manifest.rows}.")
        return cls(index, manifest.index.nprobe)

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    def search(
        self, queries: NDArray[np.float32], k: int, nprobe: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The k best rows by inner product: scores [n, k] and rows [n, k], best first.

        Where fewer than k are found, the rest of the row is -1.
        """
        k = min(k, self.rows)
        if not self._nprobe:
            scores, rows = self._index.search(queries, k)
        else:
            # Per request, never set on the shared index: another thread may be searching it.
            lists = nprobe or self._nprobe
            parameters = faiss.SearchParametersIVF(nprobe=lists)  # type: ignore[call-arg]
            scores, rows = self._index.search(queries, k, params=parameters)
        return scores, rows


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
