"""Keys and values of prompts that were read before: a new prompt may begin as one of them does.

Reused at the same places alone: anywhere else a token's keys and values would be others.

Decisions: docs/decisions/batching.md.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

from lm.backends.architecture import cache_layers, turns_by_length
from lm.backends.scoring.sharing import common

# The keys and values of one row in one layer, each [heads, tokens, width].
Layer = tuple[torch.Tensor, torch.Tensor]


def reusable(config: Any) -> bool:
    """Whether a model's state behind some tokens is their keys and values, and those alone.

    Not with sliding windows, which forget, nor with linear attention, which keeps sums.
    """
    return not turns_by_length(config) and cache_layers(config) <= {DynamicLayer}


def shared(texts: Sequence[list[int]]) -> list[int]:
    """The tokens that all texts begin with."""
    # What the first and the last in order have in common, all between them have, too.
    first, last = min(texts), max(texts)
    return first[: common(first, last)]


class Prefixes:
    """The keys and values of the last prompts, up to a number of bytes.

    `kind` tells models apart that differ in an adapter: their keys and values do, too.
    """

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        # Tokens of prompts, and those of them that had been read before.
        self.tokens, self.reused = 0, 0
        self._most = most_bytes
        # The one used last stands last.
        self._kept: dict[tuple[bool, tuple[int, ...]], list[Layer]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, kind: bool, ids: Sequence[int]) -> tuple[int, list[Layer]]:
        """How many of a text's first tokens are kept, and the layers that hold them."""
        wanted = tuple(ids)
        best, key = 0, None
        for one in self._kept:
            length = common(wanted, one[1]) if one[0] == kind else 0
            if length > best:
                best, key = length, one
        if key is None:
            return 0, []
        self._kept[key] = layers = self._kept.pop(key)
        return best, layers

    def keep(self, kind: bool, ids: Sequence[int], layers: list[Layer]) -> None:
        """Keep a text's keys and values; those that were used longest ago make room."""
        key, size = (kind, tuple(ids)), _bytes(layers)
        if key in self._kept or size > self._most:
            return
        self._kept[key] = [(keys.clone(), values.clone()) for keys, values in layers]
        self.bytes += size
        while self.bytes > self._most:
            self.bytes -= _bytes(self._kept.pop(next(iter(self._kept))))

    def fill(self, cache: Any, kind: bool, rows: Sequence[Sequence[int]], reuses: Sequence[bool]) -> int:
        """Put what is kept of the rows' beginnings into an empty cache; how many tokens of each are left.

        `reuses` [rows] says which rows may go on from what is kept; the others are read from the first token.
        It is the same number for all, at least one, so that no padding comes to stand within a row: of some
        rows less is reused than is kept, and shorter rows are padded on the left.
        """
        nothing: tuple[int, list[Layer]] = (0, [])
        each = zip(rows, reuses, strict=True)
        found = [self.find(kind, row[:-1]) if may else nothing for row, may in each]
        left = max(len(row) - length for row, (length, _) in zip(rows, found, strict=True))
        reused = [max(0, len(row) - left) for row in rows]
        self.tokens += sum(len(row) for row in rows)
        self.reused += sum(reused)
        width = max(reused)
        if width == 0:
            return left
        some = next(layers for _, layers in found if layers)
        for at in range(len(some)):
            pair = [one.new_zeros(len(rows), one.shape[0], width, one.shape[2]) for one in some[at]]
            for row, (count, (_, layers)) in enumerate(zip(reused, found, strict=True)):
                if count:
                    for whole, one in zip(pair, layers[at], strict=True):
                        whole[row, :, width - count :] = one[:, :count]
            cache.update(*pair, at)
        return left


def _bytes(layers: list[Layer]) -> int:
    return sum(one.nelement() * one.element_size() for layer in layers for one in layer)
