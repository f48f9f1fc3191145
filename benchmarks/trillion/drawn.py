"""Vectors drawn as real embeddings are spread, each drawn again from its number; the best of them."""

from dataclasses import dataclass

import numpy as np
import torch

# Exact best rows that are looked for.
K = 10
_TRUTH_BLOCK = 1 << 18


class Drawn:
    """x = normalise(s + noise z): s of a sample at random, z normal with the sample's covariance; float16.

    Row r is place r % batch of batch r // batch, and a batch is drawn from its number.
    """

    def __init__(self, sample: np.ndarray, noise: float, batch: int, device: torch.device) -> None:
        self.device, self.batch, self.noise = device, batch, noise
        given = torch.from_numpy(sample.astype(np.float32))
        self.dimension = given.shape[1]
        covariance = torch.cov(given.T) + 1e-7 * torch.eye(self.dimension)
        kind = torch.float16 if device.type == "cuda" else torch.float32
        self._spread = (noise * torch.linalg.cholesky(covariance)).T.contiguous().to(device, kind)
        self._sample = given.to(device, kind)

    def __call__(self, number: int) -> torch.Tensor:
        """The vectors of a batch: float16 [batch, dimension]."""
        random = torch.Generator(self.device).manual_seed(number)
        mine = torch.randint(len(self._sample), (self.batch,), generator=random, device=self.device)
        shape, kind = (self.batch, self.dimension), self._sample.dtype
        z = torch.randn(shape, generator=random, device=self.device, dtype=kind)
        x = torch.addmm(self._sample[mine], z, self._spread)
        return x.div_(torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32).to(kind)).half()


@dataclass
class Truth:
    """The exact best rows of each question, float16 [n, d], among the vectors seen so far."""

    questions: torch.Tensor

    def __post_init__(self) -> None:
        shape, device = (len(self.questions), K), self.questions.device
        self.scores = torch.full(shape, -torch.inf, device=device)
        self.rows = torch.full(shape, -1, dtype=torch.int64, device=device)

    def see(self, first: int, vectors: torch.Tensor) -> None:
        """Vectors on the questions' device, the row of the first of them."""
        for at in range(0, len(vectors), _TRUTH_BLOCK):
            block = vectors[at : at + _TRUTH_BLOCK]
            best = _products(self.questions, block).topk(min(K, len(block)))
            scores = torch.cat([self.scores, best.values], 1)
            rows = torch.cat([self.rows, best.indices + (first + at)], 1)
            kept = scores.topk(K)
            self.scores, self.rows = kept.values, rows.gather(1, kept.indices)


def _products(questions: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    if questions.is_cuda:
        return torch.mm(questions, vectors.T, out_dtype=torch.float32)
    return questions.float() @ vectors.float().T


def recall(found: np.ndarray, best: np.ndarray) -> float:
    """The share of the best rows [n, K] that are among those found [n, k]."""
    return float((found[:, :, None] == best[:, None, :]).any(1).mean())
