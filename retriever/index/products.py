"""Matrix products on a device, and what is made of them: nearest centroids, and k-means for lists and words.

Knows tensors; knows no index.

Decisions: docs/decisions/gpu.md.
"""

import torch
import torch.nn.functional as F

from retriever.index import assignment

# Scores held at once, in bytes: of vectors with lists, or with a part's words. Fixed, and not chosen by
# the memory that happens to be free: a matrix product of another height may differ in its last bits.
_SCORE_BYTES = {"cpu": 1 << 27, "cuda": 1 << 31}
_LARGEST_BLOCK = 1 << 16
# As often as FAISS does: Lloyd's algorithm, for lists and for the words of a product quantizer.
_LIST_ITERATIONS, _WORD_ITERATIONS = 10, 25
# What an empty cluster and the one that it splits differ by (FAISS's figure).
_NUDGE = 1 / 1024


def rows_at_once(width: int, device: torch.device) -> int:
    """How many vectors are scored at once, with so many scores each."""
    return min(_LARGEST_BLOCK, max(1, _SCORE_BYTES[device.type] // (4 * width)))


def quickest(values: torch.Tensor) -> torch.Tensor:
    """Values in the type whose matrix products are quick: float16, but on a CPU float32.

    A store's vectors are float16 already, so only centroids, words and residuals are rounded. Bfloat16 is
    as quick and rounds eight times as coarsely.
    """
    return values.to(torch.float16 if values.is_cuda else torch.float32)


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A matrix product, or a batch of them, as float32: sums rounded to float16 are too often equal."""
    if left.dtype == torch.float32:
        return left @ right
    multiply = torch.mm if left.ndim == 2 else torch.bmm
    return multiply(left, right, out_dtype=torch.float32)


def train_lists(vectors: torch.Tensor, count: int, seed: int = 0) -> torch.Tensor:
    """Centroids of a spherical k-means (Dhillon, Modha 2001): [n, d] -> float32 [count, d], of length 1."""
    chosen = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(seed))[:count]
    centroids = F.normalize(vectors[chosen.to(vectors.device)].float())
    for _ in range(_LIST_ITERATIONS):
        lists = nearest_centroids(vectors, centroids)
        counts = torch.bincount(lists, minlength=count)
        # Over a sorted order: adding up in the order that threads arrive in gives other last bits each time.
        order = lists.argsort(stable=True)
        means = F.embedding_bag(order, vectors, counts.cumsum(0) - counts, mode="mean")
        centroids = F.normalize(_without_empty(means.float(), counts))
    return centroids


def nearest_centroids(vectors: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """The nearest centroid of each vector: [n, d], [k, d] -> int64 [n]."""
    centroids = centroids.to(vectors.dtype)
    if assignment.fits(vectors, centroids):
        return assignment.nearest(vectors, centroids)
    factor = centroids.T
    blocks = vectors.split(rows_at_once(len(centroids), vectors.device))
    return torch.cat([product(block, factor).argmax(1) for block in blocks])


def _without_empty(centroids: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Give each cluster without vectors half of one of the fullest, as FAISS does."""
    empty = (counts == 0).nonzero().flatten()
    turn = torch.arange(len(empty), device=counts.device) % (len(counts) - len(empty))
    fullest = counts.argsort(descending=True, stable=True)[turn]
    nudge = torch.full((centroids.shape[1],), _NUDGE, device=centroids.device)
    nudge[::2] *= -1
    centroids[empty] = centroids[fullest] * (1 + nudge)
    centroids[fullest] = centroids[fullest] * (1 - nudge)
    return centroids


def train_words(vectors: torch.Tensor, count: int) -> torch.Tensor:
    """The words of one part, by k-means: float32 [n, d] -> [count, d]."""
    words = vectors[:: len(vectors) // count][:count]
    for _ in range(_WORD_ITERATIONS):
        own = (vectors @ words.T - words.square().sum(1) / 2).argmax(1)
        # As a product with zeros and ones, which adds up in the same order each time.
        members = F.one_hot(own, count).to(vectors.dtype)
        counts = members.sum(0)
        words = _without_empty(members.T @ vectors / counts.clamp_min(1)[:, None], counts)
    return words
