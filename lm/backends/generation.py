"""Token by token: several texts are continued in step by one model, each until its own end.

A text that has ended is taken out of the batch: it costs nothing more.

Decisions: docs/decisions/batching.md.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from lm.backends.choosing import choose
from lm.backends.drafts import Draft

# Caches whose rows can be chosen: those of other kinds (linear attention) hold states besides.
_BY_ROW = (DynamicLayer, DynamicSlidingWindowLayer)


class Forward:
    """One pass of a model over new tokens, behind those whose keys and values are kept."""

    def __init__(self, model: Any) -> None:
        self._model = model
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        takes = inspect.signature(plain.forward).parameters
        # transformers 5.2x calls so what was past_key_values before.
        self._cache = "cache" if "cache" in takes else "past_key_values"
        self._places = "position_ids" in takes
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits [rows, vocabulary] of what follows `ids` [rows, new].

        `mask` [rows, kept + new] is 0 where a row is padded; `cache` holds what is kept, and grows.
        """
        more: dict[str, Any] = {self._cache: cache} | self._last
        if self._places:
            places = (mask.cumsum(dim=-1) - 1).clamp(min=0)
            more["position_ids"] = places[:, -ids.shape[1] :]
        out = self._model(input_ids=ids, attention_mask=mask, use_cache=True, return_dict=True, **more)
        logits: torch.Tensor = out.logits[:, -1]
        return logits


class Batch:
    """Drafts that are written in step. Shorter prompts are padded on the left."""

    def __init__(self, model: Any, drafts: Sequence[Draft], pad: int) -> None:
        self.drafts = list(drafts)
        self._forward = Forward(model)
        self._cache: Any = DynamicCache(config=model.config)
        rows = [row for draft in drafts for row in draft.rows]
        width = max(len(row) for row in rows)
        gaps = [width - len(row) for row in rows]
        device = model.device
        padded = [[pad] * gap + row for gap, row in zip(gaps, rows, strict=True)]
        self._ids = torch.tensor(padded, device=device)
        places = torch.arange(width, device=device)
        self._mask = (places >= torch.tensor(gaps, device=device)[:, None]).long()

    def __len__(self) -> int:
        return len(self._ids)

    def step(self) -> None:
        """Give each draft its next token, and leave out those that have ended."""
        logits = self._forward(self._ids, self._mask, self._cache)
        tokens = choose(logits, [draft.choice for draft in self.drafts])
        rows: list[int] = []
        for draft, token in zip(self.drafts, tokens, strict=True):
            # An ended one is still there where rows cannot be taken out: its tokens go nowhere.
            if not draft.ended:
                draft.take(token)
            rows += [token] * len(draft.rows)
        self._ids = torch.tensor(rows, device=logits.device)[:, None]
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(rows), 1)], dim=1)
        self._leave_out()

    def _leave_out(self) -> None:
        kept = [not draft.ended for draft in self.drafts for _ in draft.rows]
        if any(kept) and (all(kept) or any(type(layer) not in _BY_ROW for layer in self._cache.layers)):
            return
        self.drafts = [draft for draft in self.drafts if not draft.ended]
        which = torch.tensor(kept, device=self._ids.device).nonzero()[:, 0]
        self._ids, self._mask = self._ids[which], self._mask[which]
        if self.drafts:
            self._cache.batch_select_indices(which)


def write(batch: Batch, after: Callable[[int], None]) -> None:
    """Continue a batch until all its drafts have ended; `after` each token it is told the rows left."""
    with torch.no_grad():
        while batch.drafts:
            batch.step()
            after(len(batch))
