"""Token by token: several texts are continued in step by one model, each until its own end.

A text that has ended is taken out of the batch: it costs nothing more. Others may join on the way.

Decisions: docs/decisions/batching.md.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from lm.backends.choosing import choose
from lm.backends.drafts import Draft
from lm.backends.prefixes import Layer, Prefixes, reusable, shared

# Caches whose rows can be chosen: those of other kinds (linear attention) hold states besides.
_BY_ROW = (DynamicLayer, DynamicSlidingWindowLayer)
# Tokens that all prompts of a batch begin with are read once, if there are so many.
_WORTH_SHARING = 32


class Forward:
    """One pass of a model over new tokens, behind those whose keys and values are kept."""

    def __init__(self, model: Any, pad: int) -> None:
        """`pad` is the token that stands where a row has none."""
        self._model, self.pad = model, pad
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        takes = inspect.signature(plain.forward).parameters
        # Newer versions of transformers call so what was past_key_values before.
        self._cache = "cache" if "cache" in takes else "past_key_values"
        self._places = "position_ids" in takes
        self._last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        # Whether keys and values are all that the model keeps.
        self.plain = reusable(model.config)

    @property
    def device(self) -> torch.device:
        found: torch.device = self._model.device
        return found

    def cache(self) -> Any:
        """An empty cache of keys and values."""
        return DynamicCache(config=self._model.config)

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


class Batch:
    """Drafts of one kind that are written in step."""

    def __init__(self, forward: Forward, prefixes: Prefixes, drafts: Sequence[Draft]) -> None:
        """Read their prompts, and give each draft its first token."""
        self.drafts = list(drafts)
        self._forward, self._prefixes, self._kind = forward, prefixes, drafts[0].kind
        texts = [row for draft in drafts for row in draft.rows]
        if forward.plain and len(texts) > 1:
            self._share(texts)
        self._rows, logits = self._read(texts)
        self._write(logits)

    def _share(self, texts: list[list[int]]) -> None:
        """Read once what all prompts begin with: it is found among what is kept then."""
        first = shared([text[:-1] for text in texts])
        if len(first) >= _WORTH_SHARING and self._prefixes.find(self._kind, first)[0] < len(first):
            self._read([first])

    @property
    def rows(self) -> int:
        """The rows that are left."""
        return len(self._rows) if self.drafts else 0

    def _read(self, texts: list[list[int]]) -> tuple[Rows, torch.Tensor]:
        """Prompts as rows that are read, and the logits [rows, vocabulary] of what follows them."""
        cache, new = self._forward.cache(), max(len(text) for text in texts)
        if self._forward.plain:
            new = self._prefixes.fill(cache, self._kind, texts)
        rows = Rows(self._forward, texts, cache, new)
        logits = rows.read()
        if self._forward.plain:
            for row, text in enumerate(texts):
                self._prefixes.keep(self._kind, text, rows.states(row, len(text)))
        return rows, logits

    def step(self) -> None:
        """Give each draft its next token, and leave out those that have ended."""
        self._write(self._rows.read())

    def _write(self, logits: torch.Tensor) -> None:
        tokens = choose(logits, [draft.choice for draft in self.drafts])
        following: list[int] = []
        for draft, token in zip(self.drafts, tokens, strict=True):
            # An ended one is still there where rows cannot be taken out: its tokens go nowhere.
            if not draft.ended:
                draft.take(token)
            following += [token] * draft.width
        self._rows.append(following)
        self._leave_out()

    def _leave_out(self) -> None:
        kept = [not draft.ended for draft in self.drafts for _ in draft.rows]
        if not any(kept):
            self.drafts = []
        elif not all(kept) and all(type(layer) in _BY_ROW for layer in self._rows.cache.layers):
            self.drafts = [draft for draft in self.drafts if not draft.ended]
            self._rows.keep([row for row, left in enumerate(kept) if left])

    def join(self, drafts: Sequence[Draft]) -> None:
        """Read the prompts of others of the same kind, and continue them in step with these."""
        others = Batch(self._forward, self._prefixes, drafts)
        if others.drafts:
            self._rows.join(others._rows)
            self.drafts += others.drafts


class Writer:
    """Writes drafts with a model, batch by batch, and keeps what it has read of prompts."""

    def __init__(self, forward: Forward, most_bytes: int) -> None:
        """`most_bytes` of keys and values are kept from one batch to the next."""
        self._forward, self.prefixes = forward, Prefixes(most_bytes)

    def write(
        self,
        drafts: Sequence[Draft],
        before: Callable[[int], None],
        more: Callable[[Sequence[Draft]], Sequence[Draft]],
    ) -> None:
        """Continue drafts of one kind until all have ended; each gives its text to whoever asked.

        `before` each pass it is told the tokens that are read in it. `more`, told which drafts are being
        written, gives those that are to join them.
        """
        with torch.no_grad():
            before(sum(len(row) for draft in drafts for row in draft.rows))
            batch = Batch(self._forward, self.prefixes, drafts)
            while batch.drafts:
                # Of other caches rows of different lengths cannot be put together.
                if self._forward.plain and (joining := more(batch.drafts)):
                    before(sum(len(row) for draft in joining for row in draft.rows))
                    batch.join(joining)
                before(batch.rows)
                batch.step()
