"""Matrix products on a device, and what is made of them: nearest centroids, k-means, product codes.

Knows tensors; knows no index.

Decisions: docs/decisions/gpu.md.
"""

import math

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


class ProductCode:
    """A product quantizer's codes (Jegou, Douze, Schmid 2011): the nearest word of each part of a vector.

    The word c nearest to x has the largest x.c - |c|^2 / 2, which is one matrix product for each part:
    |c|^2 / 2 rides along in two more dimensions, in which every x is one, so that float16 holds it. Words are
    scaled by `scale` and `rounded`, and so is x.
    """

    def __init__(self, words: torch.Tensor) -> None:
        """`words`: float32 [parts, 16 or 256, dimensions of a part], on the device that encodes."""
        parts, count, self._dimension = words.shape
        self.width = parts * count
        self._four_bits = count == 16
        # A power of two, which changes no comparison, brings words of any length into float16's range.
        self.scale = 2.0 ** -math.ceil(math.log2(float(words.abs().max().clamp_min(1e-30))))
        words = self.rounded = quickest(words * self.scale)
        halves = words.float().square().sum(2, keepdim=True) / -2
        high = halves.to(words.dtype)
        words = torch.cat([words, high, (halves - high.float()).to(words.dtype)], 2)
        # Tensor cores want rows of 16 bytes.
        self._words = F.pad(words, (0, -words.shape[2] % 8)).transpose(1, 2).contiguous()

    def __call__(self, vectors: torch.Tensor) -> torch.Tensor:
        """Codes of vectors or residuals: [n, d] -> uint8 [n, code size], of 4 bits the lower first."""
        parts, width, _ = self._words.shape
        padded = self._words.new_zeros((len(vectors), parts, width))
        padded[:, :, : self._dimension] = vectors.view(len(vectors), parts, -1) * self.scale
        padded[:, :, self._dimension : self._dimension + 2] = 1
        codes = product(padded.transpose(0, 1), self._words).argmax(2).T.to(torch.uint8)
        if not self._four_bits:
            return codes
        low, high = codes[:, ::2], F.pad(codes[:, 1::2], (0, parts % 2))
        return low | high << 4
