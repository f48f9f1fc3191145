"""A codebook by the project's own k-means, and the noise that makes drawn vectors as hard to find as real."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from trillion.drawn import Drawn, Truth, recall

from retriever.index.paged.codebook import Codebook
from retriever.index.paged.index import PagedIndex
from retriever.index.paged.part import Part
from retriever.index.products import nearest_centroids, quickest, train_lists, train_words
from retriever.index.sizing import IndexKey, list_count

# Vectors that words are learned from, as `retriever/index/codec.py` has it, and that are encoded at once.
_WORD_ROWS, _AT_ONCE = 65_536, 1 << 16
# Noises that are tried, and how near recall must come to that of real vectors.
NOISES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
_NEAR = 0.02


def trained(key: IndexKey, sample: torch.Tensor) -> Codebook:
    """Lists and words of a sample [n, d], on its device: as a build on a GPU learns them."""
    vectors = quickest(sample.float()) if not sample.is_cuda else sample
    centroids = train_lists(vectors, key.nlist)
    some = vectors[:: math.ceil(len(vectors) / _WORD_ROWS)].float()
    by_residual = not key.fast_scan
    rest = some - centroids[nearest_centroids(quickest(some), centroids)] if by_residual else some
    count, bits = key.parts
    parts = rest.view(len(rest), count, -1).transpose(0, 1)
    words = torch.stack([train_words(part.contiguous(), 1 << bits) for part in parts])
    return Codebook(centroids, words, by_residual)


@dataclass(frozen=True)
class Compared:
    """What the codes alone find, recall@10 in all lists: of real vectors, of as many drawn by each noise."""

    rows: int
    real: float
    drawn: dict[float, float]

    @property
    def noise(self) -> float:
        """The largest noise whose vectors are found as real ones are, to 0.02; else the nearest.

        Small noise draws tight clusters, which few lists hold: it flatters a search that probes lists.
        """
        near = [noise for noise, found in self.drawn.items() if abs(found - self.real) <= _NEAR]
        return max(near, default=min(self.drawn, key=lambda noise: abs(self.drawn[noise] - self.real)))


def compared(real: np.ndarray, questions: torch.Tensor, code: str) -> Compared:
    """How well codes of such a kind find real vectors [n, d], and drawn ones."""
    device, rows = questions.device, len(real)
    key = IndexKey.parse(f"IVF{list_count(rows)},{code}")
    vectors = torch.from_numpy(real.astype(np.float16)).to(device)
    found = {noise: _found(key, Drawn(real, noise, rows, device)(0), questions) for noise in NOISES}
    return Compared(rows, _found(key, vectors, questions), found)


def _found(key: IndexKey, vectors: torch.Tensor, questions: torch.Tensor) -> float:
    part, truth = Part(trained(key, vectors), len(vectors)), Truth(questions)
    for some in vectors.split(_AT_ONCE):
        part.add(some)
    truth.see(0, vectors)
    index = PagedIndex(key, [part])
    _, rows = index.search(index.assign(questions.float().cpu().numpy()), 10)
    return recall(rows, truth.rows.cpu().numpy())
