"""Keys and values of a layer in tensors with room behind them, so that a token does not copy all before it.

Decisions: docs/decisions/batching.md.
"""

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

# Tokens that there is room for whenever tensors are made anew.
_ROOM = 64


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """A layer whose `keys` and `values` [rows, heads, tokens, size] are the beginnings of longer tensors.

    Whoever puts others in their place, with fewer rows or more, need not know: room is made anew then.
    """

    keys: torch.Tensor | None
    values: torch.Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self._whole: list[torch.Tensor] = []
        # The beginning of the first of them, as it was last given.
        self._given: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new tokens [rows, heads, new, size] behind those that are kept, and give all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        if not self._whole or self.keys is not self._given or end > self._whole[0].shape[2]:
            self._whole = [
                _with_room(kept, new, start)
                for kept, new in ((self.keys, key_states), (self.values, value_states))
            ]
        for whole, new in zip(self._whole, (key_states, value_states), strict=True):
            whole[:, :, start:end] = new
        keys, values = (whole[:, :, :end] for whole in self._whole)
        self.keys, self.values, self._given = keys, values, keys
        return keys, values


def _with_room(kept: torch.Tensor | None, new: torch.Tensor, tokens: int) -> torch.Tensor:
    """A tensor that begins with the `tokens` that are kept, with room for the new ones and more."""
    rows, heads, more, size = new.shape
    whole = new.new_empty(rows, heads, tokens + more + _ROOM, size)
    if tokens and kept is not None:
        whole[:, :, :tokens] = kept
    return whole
