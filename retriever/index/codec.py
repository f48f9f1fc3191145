"""Vectors to codes on a device, as matrix products in PyTorch: an index is trained and encodes there.

The codes are the bytes that FAISS's `sa_encode` gives. FAISS's own GPU index encodes far more slowly
(benchmarks/gpu/index.py), and straight into its lists, of which no shard's file could be made.

Decisions: docs/decisions/gpu.md.
"""

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import RalmError
from retriever.index.faiss_index import untrained
from retriever.index.products import (
    ProductCode,
    nearest_centroids,
    quickest,
    rows_at_once,
    train_lists,
    train_words,
)
from retriever.index.sizing import IndexKey

# Rows that travel to the device at once, while those before them are worked on.
_CARGO = 1 << 17
# Vectors that the words of a product quantizer are learned from, at most about.
_WORD_ROWS = 65_536
Vectors: TypeAlias = "NDArray[np.float16] | NDArray[np.float32] | torch.Tensor"


class TorchCodec:
    """Encodes vectors on a device as FAISS's `sa_encode` does, but for ties and rounding.

    On a GPU, matrix products take float16 in and add up in float32; on a CPU they are float32.
    """

    def __init__(self, trained: Any, device: torch.device | str) -> None:
        """Take the centroids and words of a trained IVF index with PQ, SQ8 or SQfp16 codes.

        Raises RalmError for any other.
        """
        self.device = torch.device(device)
        ivf = lists_of(trained)
        self._body = _body(ivf, self.device)
        self._rotations = [_rotation(step, self.device) for step in steps(trained)]
        self._centroids = torch.from_numpy(ivf.quantizer.reconstruct_n(0, ivf.nlist)).to(self.device)
        self._quick = quickest(self._centroids)
        self._by_residual = bool(ivf.by_residual)
        self._list_bytes = int(ivf.coarse_code_size())
        self.code_size = int(trained.sa_code_size())
        self._block = rows_at_once(max(ivf.nlist, self._body.width), self.device)

    def encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        """Codes of vectors in row order, list number included: [n, d] -> uint8 [n, code size]."""
        codes = torch.empty((len(vectors), self.code_size), dtype=torch.uint8, device=self.device)
        at = 0
        for cargo in self._delivered(vectors):
            codes[at : at + len(cargo)] = self.encode_here(cargo)
            at += len(cargo)
        # Pinned memory: other memory is copied at a seventh of the speed.
        host = torch.empty(codes.shape, dtype=torch.uint8, pin_memory=codes.is_cuda)
        found: NDArray[np.uint8] = host.copy_(codes).numpy()
        return found

    def encode_here(self, vectors: torch.Tensor) -> torch.Tensor:
        """The same, of vectors on this device, to codes on this device; does not wait for them."""
        codes = torch.empty((len(vectors), self.code_size), dtype=torch.uint8, device=self.device)
        for at in range(0, len(vectors), self._block):
            rest = vectors[at : at + self._block]
            for matrix, shift in self._rotations:
                rest = torch.addmm(shift, rest.float(), matrix)
            lists = self.assign(rest)
            if self._by_residual:
                rest = rest.float() - self._centroids[lists]
            out = codes[at : at + self._block]
            # FAISS writes list numbers little-endian, as the CPUs and GPUs of today hold them.
            out[:, : self._list_bytes] = lists[:, None].view(torch.uint8)[:, : self._list_bytes]
            out[:, self._list_bytes :] = self._body(rest)
        return codes

    def assign(self, vectors: torch.Tensor) -> torch.Tensor:
        """The list of each vector on this device, rotated if need be: [n, d] -> int64 [n]."""
        return nearest_centroids(vectors.to(self._quick.dtype), self._quick)

    def _delivered(self, vectors: Vectors) -> Iterator[torch.Tensor]:
        """The vectors on the device, part by part.

        Each part travels on a stream of its own, and so while the device works on the one before.
        """
        parts = (vectors[at : at + _CARGO] for at in range(0, len(vectors), _CARGO))
        if self.device.type == "cpu" or (isinstance(vectors, torch.Tensor) and vectors.is_cuda):
            yield from (torch.as_tensor(_writable(part)).to(self.device) for part in parts)
            return
        working, travelling = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        for part in parts:
            with torch.cuda.stream(travelling):
                cargo = torch.as_tensor(_writable(part)).pin_memory().to(self.device, non_blocking=True)
            working.wait_stream(travelling)
            cargo.record_stream(working)
            yield cargo


def _writable(part: Vectors) -> Vectors:
    """A copy of a memory-mapped part: PyTorch takes no array that it may not write to."""
    return np.array(part) if isinstance(part, np.ndarray) and not part.flags.writeable else part


class _ByteCode:
    """A scalar quantizer's codes: each dimension as a byte between its least and its largest value."""

    def __init__(self, sq: Any, device: torch.device) -> None:
        self._least, self._span = torch.from_numpy(faiss.vector_to_array(sq.trained)).to(device).view(2, -1)
        self.width = len(self._least)

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        share = torch.where(self._span != 0, (vectors - self._least) / self._span, 0.0)
        return (share.clamp(0, 1) * 255).to(torch.uint8)


class _HalfCode:
    """Float16 values as their bytes."""

    def __init__(self, dimension: int) -> None:
        self.width = dimension

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors.to(torch.float16).view(torch.uint8)


def _body(ivf: Any, device: torch.device) -> ProductCode | _ByteCode | _HalfCode:
    """What encodes the rest of a vector, behind its list number."""
    if isinstance(ivf, faiss.IndexIVFPQ) and ivf.pq.nbits in (4, 8):
        words = torch.from_numpy(faiss.vector_to_array(ivf.pq.centroids))
        return ProductCode(words.reshape(ivf.pq.M, ivf.pq.ksub, ivf.pq.dsub).to(device))
    if isinstance(ivf, faiss.IndexIVFScalarQuantizer):
        if ivf.sq.qtype == faiss.ScalarQuantizer.QT_8bit:
            return _ByteCode(ivf.sq, device)
        if ivf.sq.qtype == faiss.ScalarQuantizer.QT_fp16:
            return _HalfCode(ivf.d)
    raise RalmError(
        f"{type(ivf).__name__} codes of this kind are not made on a GPU: choose PQm, PQmx4, PQmx4fs, SQ8 or "
        "SQfp16 codes, or --device cpu."
    )


def lists_of(index: Any) -> Any:
    """The inverted-file index inside an index. Raises RalmError if it has none that runs on a GPU."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    flat = isinstance(inner, faiss.IndexIVF) and isinstance(
        faiss.downcast_index(inner.quantizer), faiss.IndexFlat
    )
    if not flat or inner.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise RalmError(
            "Only IVF indexes with a flat coarse quantizer and inner products run on a GPU: choose "
            "another --index-key, or --device cpu."
        )
    return inner


def steps(index: Any) -> list[Any]:
    """The transformations in front of an index's lists."""
    if not isinstance(index, faiss.IndexPreTransform):
        return []
    return [faiss.downcast_VectorTransform(index.chain.at(n)) for n in range(index.chain.size())]


def _rotation(step: Any, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """A linear transformation: its matrix [d, d'], and what it adds [d']."""
    if isinstance(step, faiss.RemapDimensionsTransform):
        taken = torch.from_numpy(faiss.vector_to_array(step.map).astype(np.int64))
        return torch.eye(step.d_in)[:, taken].to(device), torch.zeros(step.d_out, device=device)
    if not isinstance(step, faiss.LinearTransform):
        raise RalmError(f"{type(step).__name__} is not computed on a GPU: choose --device cpu.")
    matrix = torch.from_numpy(faiss.vector_to_array(step.A)).view(step.d_out, step.d_in).T
    shift = faiss.vector_to_array(step.b) if step.have_bias else np.zeros(step.d_out, np.float32)
    return matrix.to(device), torch.from_numpy(shift).to(device)


def train(key: IndexKey, sample: NDArray[np.float32], device: torch.device | str, seed: int = 0) -> Any:
    """Train an empty IVF index on a sample [n, dimension], as `faiss_index.train` does, on a device.

    The same sample gives the same bytes again on the same kind of device.
    """
    key.check(sample.shape[1])
    key.require_passages(len(sample), sample.shape[1])
    index = untrained(key, sample.shape[1])
    ivf = lists_of(index)
    for step in steps(index):
        step.train(sample)
        sample = step.apply(sample)
    if key.fast_scan:
        ivf.by_residual = False  # As on a CPU: see retriever.index.faiss_index.
    vectors = quickest(torch.from_numpy(sample).to(device))
    centroids = train_lists(vectors, ivf.nlist, seed)
    ivf.quantizer.add(centroids.cpu().numpy())
    _train_body(ivf, vectors[:: math.ceil(len(vectors) / _WORD_ROWS)], centroids)
    ivf.is_trained = index.is_trained = True
    return index


def _train_body(ivf: Any, vectors: torch.Tensor, centroids: torch.Tensor) -> None:
    """Learn what encodes vectors [n, d] behind their list numbers."""
    rest = vectors.float()
    if ivf.by_residual:
        rest = rest - centroids[nearest_centroids(vectors, centroids)]
    if isinstance(ivf, faiss.IndexIVFPQ):
        parts = rest.view(len(rest), ivf.pq.M, -1).transpose(0, 1)
        words = torch.stack([train_words(part.contiguous(), ivf.pq.ksub) for part in parts])
        faiss.copy_array_to_vector(words.cpu().numpy().ravel(), ivf.pq.centroids)
    else:
        # Least and largest values, mostly: FAISS learns them in a moment.
        given, lists = rest.cpu().numpy(), np.zeros(len(rest), np.int64)
        ivf.train_encoder(len(given), faiss.swig_ptr(given), faiss.swig_ptr(lists))
