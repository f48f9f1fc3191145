"""What a reader in this process says of texts: rows of tokens are written, scored together and read again.

Knows a reader's tokens, its prompts and its adapter; how a model is run, `scorer.py` knows.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from lm.backends.scoring.rows import Tokens, fitted, windows
from lm.backends.scoring.scorer import Mixture, Scored, Scorer
from lm.prompts import Ensemble, Prompt, prompts_of
from lm.reader import Continuation, Likelihood, Row, Windows

One = TypeVar("One", Row, Mixture)


@dataclass(frozen=True)
class Likelihoods:
    """A reader of a `name` that holds `longest` tokens, as far as scoring needs it.

    `written` is a prompt as text. `turn` takes the model, with the adapter or as the plain one, and gives it
    back; where the reader has no adapter (`adapts`), it is the same. `check` is asked before each pass.
    """

    name: str
    longest: int
    tokens: Tokens
    scorer: Scorer
    written: Callable[[Prompt], str]
    turn: Callable[[bool], AbstractContextManager[object]]
    adapts: bool
    check: Callable[[], None]

    def behind(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked."""
        each = [self._rows(one) for one in continuations]
        plain = {at: rows[0] for at, (rows, _) in enumerate(each) if len(rows) == 1}
        several = {
            at: Mixture.of(rows, one.asked.weights)
            for at, (one, (rows, _)) in enumerate(zip(continuations, each, strict=True))
            if isinstance(one.asked, Ensemble) and len(rows) > 1
        }
        scored = dict(zip(plain, self.rows(list(plain.values())), strict=True))
        scored |= zip(several, self._mixed(list(several.values())), strict=True)
        return [
            replace(_likelihood(one.text, [scored[at]]), left_out=each[at][1])
            for at, one in enumerate(continuations)
        ]

    def rolling(self, texts: Sequence[str], how: Windows) -> list[Likelihood]:
        """How likely each text is from its first token on, each token scored once."""
        start = self.tokens.start
        rows = [list(windows(self.tokens.of(text), start, self.longest, how)) for text in texts]
        scored = iter(self.rows([row for some in rows for row in some]))
        return [
            _likelihood(text, [next(scored) for _ in some]) for text, some in zip(texts, rows, strict=True)
        ]

    def rows(self, rows: Sequence[Row]) -> list[Scored]:
        """Rows, scored. Raises RalmError for one that is too long."""
        for row in rows:
            fitted(row, self.longest, False, self.name)
        return self._in_turns(rows, self.scorer.score)

    def ranked(self, rows: Sequence[Row], top: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Rows without passages, as the scorer ranks them. Raises RalmError for one that is too long."""
        for row in rows:
            fitted(row, self.longest, False, self.name)
        with self.turn(False):
            return self.scorer.ranked(rows, top, self.check)

    def _mixed(self, some: Sequence[Mixture]) -> list[Scored]:
        return self._in_turns(some, self.scorer.mixed)

    def _in_turns(
        self, some: Sequence[One], score: Callable[[Sequence[One], Callable[[], None]], list[Scored]]
    ) -> list[Scored]:
        """Those that hold no passages by the plain model, the others with the adapter."""
        found: dict[int, Scored] = {}
        for adapted in (False, True):
            which = [at for at, one in enumerate(some) if (self.adapts and one.passages > 0) == adapted]
            if which:
                with self.turn(adapted):
                    found |= zip(which, score([some[at] for at in which], self.check), strict=True)
        return [found[at] for at in range(len(some))]

    def _rows(self, one: Continuation) -> tuple[list[Row], int]:
        """A row for each prompt, and how many tokens of all of them were left out."""
        rows, left_out = [], 0
        for prompt in prompts_of(one.asked):
            row = self.tokens.behind(self.written(prompt), one.text, template=bool(prompt.conversation))
            row, out = fitted(replace(row, passages=prompt.passages), self.longest, one.shorten, self.name)
            rows.append(row)
            left_out += out
        return rows, left_out


def _likelihood(text: str, parts: Sequence[Scored]) -> Likelihood:
    """A text whose tokens were scored in parts."""
    logs = tuple(one for some, _ in parts for one in some.tolist())
    return Likelihood(logs, all(bool(likeliest.all()) for _, likeliest in parts), len(text.encode()))
