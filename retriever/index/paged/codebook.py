"""What codes mean: centroids of lists and words of parts; queries to tables, vectors to codes. No pages.

Decisions: docs/decisions/gpu.md.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F

from retriever.index.products import ProductCode, nearest_centroids, quickest, rows_at_once

# Bytes of a code that are read at once.
WORD = 4


@dataclass(frozen=True)
class Codebook:
    """Lists and product codes of 8 or 4 bits, on one device.

    `centroids` [nlist, d] and `words` [parts, 256 or 16, d / parts] are float32. Codes are of what is left of
    a vector without its centroid if `by_residual`.
    """

    centroids: torch.Tensor
    words: torch.Tensor
    by_residual: bool = True

    def to(self, device: torch.device) -> "Codebook":
        """The same on another device."""
        return Codebook(self.centroids.to(device), self.words.to(device), self.by_residual)

    @property
    def nlist(self) -> int:
        return len(self.centroids)

    @property
    def four_bits(self) -> bool:
        """Whether a byte of a code holds two parts, the first in its lower half."""
        return bool(self.words.shape[1] == 16)

    @property
    def code_bytes(self) -> int:
        """Bytes of a code."""
        parts = len(self.words)
        return -(-parts // 2) if self.four_bits else parts

    @property
    def columns(self) -> int:
        """Words of four bytes that a code takes in a page."""
        return -(-self.code_bytes // WORD)

    @cached_property
    def quick(self) -> torch.Tensor:
        """The centroids in the type whose matrix products are quick."""
        return quickest(self.centroids)

    @cached_property
    def _code(self) -> ProductCode:
        return ProductCode(self.words)

    def assign(self, vectors: torch.Tensor) -> torch.Tensor:
        """The list of each vector: [n, d] -> int64 [n]."""
        return nearest_centroids(vectors.to(self.quick.dtype), self.quick)

    def encode(self, vectors: torch.Tensor, lists: torch.Tensor) -> torch.Tensor:
        """Codes of vectors in their lists: [n, d], int64 [n] -> uint8 [n, code bytes]."""
        block, parts = rows_at_once(self._code.width, vectors.device), []
        for some, its in zip(vectors.split(block), lists.split(block), strict=True):
            parts.append(self._code(some.float() - self.centroids[its] if self.by_residual else some))
        return torch.cat(parts)

    @property
    def scale(self) -> float:
        """What vectors are multiplied by before they are compared with words."""
        return self._code.scale

    def padded(self, inner: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scaled words [parts, inner, values], rounded and filled up with zeros, and half their squares."""
        if not self._padded:
            words = self._code.rounded
            filled = F.pad(words.transpose(1, 2), (0, 0, 0, inner - words.shape[2])).contiguous()
            self._padded[:] = filled, words.float().square().sum(2) / 2
        words, halves = self._padded
        return words, halves

    @cached_property
    def _padded(self) -> list[torch.Tensor]:
        return []

    def tables(self, queries: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """What each value of each byte adds to a score: float32 [n, d] -> [n, 4 columns, 256].

        Element by element, in one order: a matrix product's last bits go by how many queries there are, and
        a row's score must not. Bytes that only fill up a word add nothing.
        """
        count, (parts, values, width) = len(queries), self.words.shape
        asked = queries.view(count, parts, width)
        table = queries.new_zeros((count, parts, values))
        for n in range(width):
            table.addcmul_(asked[:, :, n, None], self.words[None, :, :, n])
        if self.four_bits:
            table = F.pad(table, (0, 0, 0, parts % 2)).view(count, -1, 2, values)
            table = (table[:, :, 1, :, None] + table[:, :, 0, None, :]).flatten(2)
        return F.pad(table.to(dtype), (0, 0, 0, WORD * self.columns - self.code_bytes)).contiguous()
