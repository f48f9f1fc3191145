"""How likely a model finds tokens behind others: in batches, equal to one by one for every architecture.

Padding stands behind a row, where a causal model does not see it, so no mask and no positions are needed.
Logits are made only where a token is scored, and no more at once than fit.

Decisions: docs/decisions/scoring.md.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from base.errors import RalmError
from lm.backends.architecture import Call, cache_layers, turns_by_length
from lm.backends.scoring.sharing import Family, batches, families, stem, stretches
from lm.reader import Row

# Of each scored token: its log-probability, and whether it is the likeliest.
Scored = tuple[torch.Tensor, torch.Tensor]
# Layers of a cache that rows can share: those of other kinds hold states that run on.
_KEYS_AND_VALUES = {DynamicLayer, DynamicSlidingWindowLayer}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one pass may take: `tokens` with their padding, and `logits` (positions times vocabulary)."""

    tokens: int = 8192
    logits: int = 1 << 25


@dataclass(frozen=True, slots=True)
class Mixture:
    """Contexts that one text is scored behind, and the weight of each one's distribution.

    They hold so many `passages` together.
    """

    contexts: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    text: tuple[int, ...]
    passages: int = 0

    @classmethod
    def of(cls, rows: Sequence[Row], weights: tuple[float, ...]) -> "Mixture":
        """Rows of one text. Raises RalmError if its tokens are not the same behind all contexts."""
        texts = {row.text for row in rows}
        if len(texts) > 1:
            raise RalmError(
                "The prompts of an ensemble end so differently that a text has other tokens behind some of "
                "them: end all in the same word."
            )
        return cls(
            tuple(row.context for row in rows), weights, texts.pop(), sum(row.passages for row in rows)
        )


DEFAULT_LIMITS = Limits()


class Scorer:
    """A model, and how much of it may be computed at once."""

    def __init__(self, model: Any, limits: Limits = DEFAULT_LIMITS) -> None:
        self._model, self.limits = model, limits
        self._config, self._call = model.config.get_text_config(), Call.of(model)
        # There padding would change what stands before it.
        self._grows = turns_by_length(self._config)
        keeps_all = cache_layers(self._config) <= _KEYS_AND_VALUES
        self._shares = not self._grows and self._call.cache is not None and keeps_all
        self._vocabulary = int(self._config.vocab_size)

    def _cache(self) -> Any:
        return DynamicCache(config=self._config)

    def score(self, rows: Sequence[Row], check: Callable[[], None] = lambda: None) -> list[Scored]:
        """Each row's tokens [text], scored. `check` is asked before each pass, and may raise."""
        wanted = torch.tensor([token for row in rows for token in row.text])
        logs, likeliest = torch.empty(len(wanted)), torch.empty(len(wanted), dtype=torch.bool)
        for places, logits in self._distributions(rows, check):
            mine = wanted[places].to(logits.device)
            found = logits.gather(1, mine[:, None])[:, 0] - logits.logsumexp(dim=-1)
            logs[places], likeliest[places] = found.cpu(), (logits.argmax(dim=-1) == mine).cpu()
        sizes = [len(row.text) for row in rows]
        return list(zip(logs.split(sizes), likeliest.split(sizes), strict=True))

    def ranked(
        self, rows: Sequence[Row], top: int, check: Callable[[], None] = lambda: None
    ) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Of each row's tokens their logs [text], and the `top` likeliest [text, top] with theirs."""
        wanted = torch.tensor([token for row in rows for token in row.text])
        top = min(top, self._vocabulary)
        logs = torch.empty(len(wanted))
        best, theirs = torch.empty(len(wanted), top, dtype=torch.long), torch.empty(len(wanted), top)
        for places, logits in self._distributions(rows, check):
            each = logits.log_softmax(dim=-1)
            logs[places] = each.gather(1, wanted[places].to(each.device)[:, None])[:, 0].cpu()
            found = each.topk(top)
            best[places], theirs[places] = found.indices.cpu(), found.values.cpu()
        sizes = [len(row.text) for row in rows]
        return list(zip(logs.split(sizes), best.split(sizes), theirs.split(sizes), strict=True))

    def mixed(self, some: Sequence[Mixture], check: Callable[[], None] = lambda: None) -> list[Scored]:
        """Each mixture's text, scored by the weighted mean of its contexts' distributions at each token."""
        found: list[list[Scored]] = [[] for _ in some]
        for parts in self._parts(some):
            rows = [Row(context, one.text) for _, one in parts for context in one.contexts]
            positions = sum(len(row.text) for row in rows)
            logs = torch.empty(positions, self._vocabulary, device=self._model.device)
            for places, logits in self._distributions(rows, check):
                logs[places.to(logs.device)] = logits.log_softmax(dim=-1).to(logs.device)
            each = iter(logs.split([len(one.text) * len(one.contexts) for _, one in parts]))
            for at, one in parts:
                found[at].append(_mean(next(each), one))
        nothing = torch.empty(0), torch.empty(0, dtype=torch.bool)
        return [_joined(parts) if parts else nothing for parts in found]

    def _parts(self, some: Sequence[Mixture]) -> Iterator[list[tuple[int, Mixture]]]:
        """Mixtures, long texts in pieces, as many together as their logits allow."""
        most = max(1, self.limits.logits // self._vocabulary)
        parts: list[tuple[int, Mixture]] = []
        held = 0
        for at, one in enumerate(some):
            for part in _pieces(one, max(1, most // len(one.contexts))):
                size = len(part.text) * len(part.contexts)
                if parts and held + size > most:
                    yield parts
                    parts, held = [], 0
                parts.append((at, part))
                held += size
        if parts:
            yield parts

    def _distributions(
        self, rows: Sequence[Row], check: Callable[[], None]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Logits [places, vocabulary] in float32 of tokens to be scored, and which ones [places] these are.

        Places count the tokens of all rows' texts, one row behind the other.
        """
        before, firsts = 0, []
        for row in rows:
            firsts.append(before)
            before += len(row.text)
        some = stretches(rows, merged=not self._grows)
        shared = stem(some) if self._shares else 0
        with torch.no_grad():
            begun = self._read([list(some[0].ids[:shared])], None) if shared else None
            for batch in self._batches([Family((one,), shared) for one in some], shared):
                check()
                asked = [
                    (line, len(rows[at].context) - 1 + step, firsts[at] + step)
                    for line, one in enumerate(one for family in batch for one in family.stretches)
                    for at in one.rows
                    for step in range(len(rows[at].text))
                ]
                lines, columns, places = torch.tensor(asked).T
                for start, logits in self._blocks(batch, begun, shared):
                    inside = (columns >= start) & (columns < start + logits.shape[1])
                    at = lines[inside].to(logits.device), (columns[inside] - start).to(logits.device)
                    yield places[inside], logits[at].float()

    def _batches(self, singles: list[Family], shared: int) -> Iterator[list[Family]]:
        if self._grows:
            return iter([[one] for one in singles])
        some = [one.stretches[0] for one in singles]
        grouped = families(some, shared, self.limits.tokens) if self._shares else singles
        return batches(grouped, shared, self.limits.tokens)

    def _blocks(self, batch: Sequence[Family], begun: Any, shared: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Logits [rows, positions, vocabulary] of a batch, and the position of the first of them."""
        rows = [one for family in batch for one in family.stretches]
        done = min(family.shared for family in batch)
        cache = self._begun(batch, begun, shared, done)
        first, width = min(one.first for one in rows), max(len(one.ids) for one in rows)
        ids = [[*one.ids[done:], *[0] * (width - len(one.ids))] for one in rows]
        # As a whole, or piece by piece where its logits would be too many.
        step = max(1, self.limits.logits // (len(rows) * self._vocabulary))
        if width - first > step and self._shares:
            cache = cache or self._cache()
        else:
            step = width - first
        for start in range(first, width, step):
            end = min(start + step, width)
            part = [line[(0 if start == first else start - done) : end - done] for line in ids]
            yield start, self._logits(part, cache, end - start)

    def _begun(self, batch: Sequence[Family], begun: Any, shared: int, done: int) -> Any:
        """The keys and values of the first `done` tokens of a batch, a line for each of its stretches."""
        sizes = [len(family.stretches) for family in batch]
        if done == shared:
            return self._spread(begun, [0] * sum(sizes))
        heads = [list(family.stretches[0].ids[shared:done]) for family in batch]
        cache = self._read(heads, self._spread(begun, [0] * len(heads)))
        return self._spread(cache, [line for line, size in enumerate(sizes) for _ in range(size)])

    def _read(self, ids: Sequence[Sequence[int]], cache: Any) -> Any:
        """The keys and values of lines of tokens, of one length, behind those of a cache."""
        cache = cache or self._cache()
        self._logits(ids, cache, 1)
        return cache

    def _spread(self, cache: Any, which: Sequence[int]) -> Any:
        """A cache with a line for each of `which`, the numbers of its lines; the cache itself stays."""
        if cache is None:
            return None
        found = copy.deepcopy(cache)
        # Of a model on several devices each layer's are on its own: indices in memory fit all of them.
        found.batch_select_indices(torch.tensor(which))
        return found

    def _logits(self, ids: Sequence[Sequence[int]], cache: Any, keep: int) -> torch.Tensor:
        """The last logits [lines, keep, vocabulary] of lines of tokens, of one length, behind a cache."""
        options: dict[str, Any] = {"logits_to_keep": keep} if self._call.few_logits else {}
        if self._call.cache is not None:
            options |= {"use_cache": cache is not None, self._call.cache: cache}
        found: torch.Tensor = self._model(torch.tensor(ids, device=self._model.device), **options).logits
        return found[:, -keep:]


def _pieces(one: Mixture, most: int) -> Iterator[Mixture]:
    """A mixture whose text has at most so many tokens; what follows is scored behind those before it."""
    for at in range(0, len(one.text), most):
        contexts = tuple((*context, *one.text[:at]) for context in one.contexts)
        yield replace(one, contexts=contexts, text=one.text[at : at + most])


def _mean(logs: torch.Tensor, one: Mixture) -> Scored:
    """Of a text's tokens, by the weighted mean of the distributions [contexts * text, vocabulary]."""
    weights = logs.new_tensor(one.weights).log()[:, None, None]
    mixed = torch.logsumexp(logs.view(len(one.contexts), len(one.text), -1) + weights, dim=0)
    wanted = torch.tensor(one.text, device=logs.device)
    return mixed.gather(1, wanted[:, None])[:, 0].cpu(), (mixed.argmax(dim=-1) == wanted).cpu()


def _joined(parts: Sequence[Scored]) -> Scored:
    return torch.cat([logs for logs, _ in parts]), torch.cat([likeliest for _, likeliest in parts])
