"""Token by token: several texts are continued in step by one model, each until its own end.

A text that has ended is taken out of the batch: it costs nothing more. Others may join on the way.

Decisions: docs/decisions/batching.md.
"""

from collections.abc import Callable, Sequence

import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from lm.backends.generation.choosing import choose
from lm.backends.generation.drafts import Draft
from lm.backends.generation.growing import GrowingLayer
from lm.backends.generation.prefixes import Prefixes, shared
from lm.backends.generation.rows import Forward, Rows

# Caches whose rows can be chosen: those of other kinds (linear attention) hold states besides.
_BY_ROW = (GrowingLayer, DynamicLayer, DynamicSlidingWindowLayer)
# Tokens that all prompts of a batch begin with are read once, if there are so many.
_WORTH_SHARING = 32


class Batch:
    """Drafts of one kind that are written in step."""

    def __init__(self, forward: Forward, prefixes: Prefixes, drafts: Sequence[Draft]) -> None:
        """Read their prompts, and give each draft its first token."""
        self.drafts = list(drafts)
        self._forward, self._prefixes, self._kind = forward, prefixes, drafts[0].kind
        for draft in drafts:
            draft.pending.reading()
        texts = [row for draft in drafts for row in draft.rows]
        reuses = [draft.reuses for draft in drafts for _ in draft.rows]
        if forward.plain and len(texts) > 1 and all(reuses):
            self._share(texts)
        self._rows, logits = self._read(texts, reuses)
        self._write(logits)

    def _share(self, texts: list[list[int]]) -> None:
        """Read once what all prompts begin with: it is found among what is kept then."""
        first = shared([text[:-1] for text in texts])
        if len(first) >= _WORTH_SHARING and self._prefixes.find(self._kind, first)[0] < len(first):
            self._read([first], [True])

    @property
    def rows(self) -> int:
        """The rows that are left."""
        return len(self._rows) if self.drafts else 0

    def _read(self, texts: list[list[int]], reuses: list[bool]) -> tuple[Rows, torch.Tensor]:
        """Prompts as rows that are read, and the logits [rows, vocabulary] of what follows them.

        `reuses` [rows]: which may go on from what is kept.
        """
        cache, new = self._forward.cache(), max(len(text) for text in texts)
        if self._forward.plain:
            new = self._prefixes.fill(cache, self._kind, texts, reuses)
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
