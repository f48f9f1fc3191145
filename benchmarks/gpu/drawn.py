"""Vectors drawn as real embeddings are spread, the best of them for each query, and an untrained index."""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
import torch
import torch.nn.functional as F

# Exact best rows that are looked for.
K = 10
BATCH = 1 << 20
_TRUTH_BLOCK = 1 << 18


class Corpus:
    """Vectors that are drawn again, the same, each time they are asked for."""

    def __init__(self, sample: np.ndarray, count: int, noise: float, device: torch.device) -> None:
        self._sample = torch.from_numpy(sample.astype(np.float32)).to(device)
        self.dimension = sample.shape[1]
        self.count = count
        self.device = device
        covariance = torch.cov(self._sample.T) + 1e-7 * torch.eye(self.dimension, device=device)
        self._spread = noise * torch.linalg.cholesky(covariance)

    def batch(self, number: int) -> torch.Tensor:
        """The vectors of one batch: float16 [rows, dimension]."""
        rows = min(BATCH, self.count - number * BATCH)
        random = torch.Generator(self.device).manual_seed(number)
        mine = torch.randint(len(self._sample), (rows,), generator=random, device=self.device)
        noise = torch.randn((rows, self.dimension), generator=random, device=self.device)
        return F.normalize(self._sample[mine] + noise @ self._spread.T).half()

    def batches(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Every batch, with the row of its first vector."""
        for number in range(-(-self.count // BATCH)):
            yield number * BATCH, self.batch(number)

    def training_sample(self, rows: int) -> np.ndarray:
        """As many vectors as asked, or all there are: they are drawn independently, so any will do."""
        parts: list[torch.Tensor] = []
        for _, vectors in self.batches():
            parts.append(vectors[: rows - sum(map(len, parts))].cpu())
            if sum(map(len, parts)) >= rows:
                break
        return torch.cat(parts).float().numpy()


class Truth:
    """The exact best rows of each query among the vectors seen so far."""

    def __init__(self, queries: torch.Tensor) -> None:
        self._queries = queries
        self._scores = torch.full((len(queries), K), -torch.inf, device=queries.device)
        self.rows = torch.full((len(queries), K), -1, device=queries.device)

    def see(self, first: int, vectors: torch.Tensor) -> None:
        for at in range(0, len(vectors), _TRUTH_BLOCK):
            block = vectors[at : at + _TRUTH_BLOCK].float()
            best = (self._queries @ block.T).topk(min(K, len(block)))
            scores = torch.cat([self._scores, best.values], 1)
            rows = torch.cat([self.rows, best.indices + (first + at)], 1)
            kept = scores.topk(K)
            self._scores, self.rows = kept.values, rows.gather(1, kept.indices)


def drawn_index(key: str, dimension: int) -> Any:
    """An index whose centroids and codebooks are drawn, not trained."""
    random = np.random.default_rng(0)
    index = faiss.index_factory(dimension, key, faiss.METRIC_INNER_PRODUCT)
    centroids = random.standard_normal((index.nlist, dimension), np.float32)
    faiss.normalize_L2(centroids)
    index.quantizer.add(centroids)
    words = random.standard_normal(index.pq.ksub * dimension, np.float32) / np.float32(dimension**0.5)
    faiss.copy_array_to_vector(words, index.pq.centroids)
    index.is_trained = True
    return index
