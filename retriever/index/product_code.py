"""A product quantizer's codes by matrix products (Jegou, Douze, Schmid 2011): the nearest word of each part.

Knows tensors, and no FAISS.

Decisions: docs/decisions/gpu.md.
"""

import math

import torch
import torch.nn.functional as F

from retriever.index.products import product, quickest


class ProductCode:
    """Encodes vectors or residuals by the words of each of their parts.

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
