"""Rows of tokens in step: what is kept of them, one pass of a model over what comes next.

Knows no request. Shorter rows are padded on the left.

Decisions: docs/decisions/batching.md.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from lm.backends.architecture import Call
from lm.backends.generation.growing import GrowingLayer
from lm.backends.generation.prefixes import Layer, reusable


class Forward:
    """One pass of a model over new tokens, behind those whose keys and values are kept."""

    def __init__(self, model: Any, pad: int) -> None:
        """`pad` is the token that stands where a row has none."""
        self._model, self.pad, self._call = model, pad, Call.of(model)
        # Whether keys and values are all that the model keeps.
        self.plain = reusable(model.config)

    @property
    def device(self) -> torch.device:
        found: torch.device = self._model.device
        return found

    def cache(self) -> Any:
        """An empty cache of keys and values."""
        cache = DynamicCache(config=self._model.config)
        if self.plain:
            cache.layers = [GrowingLayer() for _ in cache.layers]
        return cache

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits [rows, vocabulary] of what follows `ids` [rows, new].

        `mask` [rows, kept + new] is 0 where a row is padded; `cache` holds what is kept, and grows.
        """
        more: dict[str, Any] = {self._call.cache or "past_key_values": cache}
        if self._call.few_logits:
            more["logits_to_keep"] = 1
        if self._call.places:
            places = (mask.cumsum(dim=-1) - 1).clamp(min=0)
            more["position_ids"] = places[:, -ids.shape[1] :]
        out = self._model(input_ids=ids, attention_mask=mask, use_cache=True, return_dict=True, **more)
        logits: torch.Tensor = out.logits[:, -1]
        return logits


class Rows:
    """Rows of tokens in step: those whose keys and values are kept, and those to be read next.

    Shorter rows are padded on the left.
    """

    def __init__(self, forward: Forward, texts: Sequence[list[int]], cache: Any, new: int) -> None:
        """`new` is how many tokens of each text are to be read; the cache holds those before."""
        self._forward, self.cache = forward, cache
        device, width = forward.device, new + cache.get_seq_length()
        parts = [text[-new:] for text in texts]
        ids = [[forward.pad] * (new - len(part)) + part for part in parts]
        gaps = torch.tensor([width - len(text) for text in texts], device=device)
        self._ids = torch.tensor(ids, device=device)
        self._mask = (torch.arange(width, device=device) >= gaps[:, None]).long()

    def __len__(self) -> int:
        return len(self._ids)

    def read(self) -> torch.Tensor:
        """Logits [rows, vocabulary] of what follows."""
        return self._forward(self._ids, self._mask, self.cache)

    def states(self, row: int, tokens: int) -> list[Layer]:
        """The keys and values of a row's last tokens."""
        return [(one.keys[row, :, -tokens:], one.values[row, :, -tokens:]) for one in self.cache.layers]

    def append(self, tokens: list[int]) -> None:
        """Let a token follow each row."""
        self._ids = torch.tensor(tokens, device=self._ids.device)[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)

    def keep(self, rows: list[int]) -> None:
        """Leave out all other rows, and the places that are padding in all that are left."""
        which = torch.tensor(rows, device=self._ids.device)
        self._ids, self._mask = self._ids[which], self._mask[which]
        self.cache.batch_select_indices(which)
        if self._forward.plain and (spare := int((self._mask == 0).sum(dim=1).min())):
            self._mask = self._mask[:, spare:]
            for layer in self.cache.layers:
                layer.keys, layer.values = layer.keys[:, :, spare:], layer.values[:, :, spare:]

    def join(self, others: "Rows") -> None:
        """Put others below these, to be continued in step with them."""
        width = max(self._mask.shape[1], others._mask.shape[1])
        self._ids = torch.cat([self._ids, others._ids])
        self._mask = torch.cat([_wide(one._mask[:, None, :, None], width) for one in (self, others)])[
            :, 0, :, 0
        ]
        for mine, theirs in zip(self.cache.layers, others.cache.layers, strict=True):
            mine.keys = torch.cat([_wide(mine.keys, width - 1), _wide(theirs.keys, width - 1)])
            mine.values = torch.cat([_wide(mine.values, width - 1), _wide(theirs.values, width - 1)])


def _wide(states: torch.Tensor, width: int) -> torch.Tensor:
    """States [rows, heads, tokens, size] with zeros in front, up to so many tokens."""
    return torch.nn.functional.pad(states, (0, 0, width - states.shape[2], 0))
