"""The next token: from one distribution or the mean of several, the likeliest or drawn by temperature.

Decisions: docs/decisions/tuning.md.
"""

import math
from collections.abc import Sequence

import torch

from lm.backends.generation.vocabulary import Doubted, Grammar
from lm.prompts import Asked, Ensemble
from lm.reader import Sampling


class Choice:
    """Chooses the tokens of one text, one after another.

    A draw depends on the text's own seed alone, not on what else is in its batch. The rows of an ensemble
    get the same token, chosen from the weighted mean of their distributions (REPLUG: Shi et al. 2023).
    """

    def __init__(
        self,
        weights: Sequence[float],
        sampling: Sampling,
        banned: Sequence[int] = (),
        doubted: Doubted | None = None,
    ) -> None:
        """`weights` of its rows; `banned` tokens do not begin the text.

        Nor does the `doubted` one below its bound: what begins an abstention is often likelier than each
        answer, though less likely than all answers.
        """
        self._weights, self._sampling, self._banned = weights, sampling, list(banned)
        self._doubted = doubted if sampling.temperature <= 0 else None
        self._supported = doubted if sampling.only_supported else None
        self._begun = False
        # What is left of an abstention that is certain.
        self._rest: tuple[int, ...] = ()
        # What the text must keep to, if anything; and, if it is asked for, how likely each token was by the
        # model [vocabulary] when the last one was chosen.
        self.grammar: Grammar | None = None
        self.logs: torch.Tensor | None = None
        self._random = torch.Generator()
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed)

    @classmethod
    def of(
        cls, asked: Asked, sampling: Sampling, banned: Sequence[int], doubted: Doubted | None = None
    ) -> "Choice":
        """The choice of what is asked: an ensemble's is made of all its prompts."""
        weights = asked.weights if isinstance(asked, Ensemble) else (1.0,)
        return cls(weights, sampling, banned, doubted)

    @property
    def rows(self) -> int:
        return len(self._weights)

    @property
    def likeliest(self) -> bool:
        """Whether the next token is just the likeliest of a single row."""
        doubts = self._doubted is not None or self._supported is not None
        free = (self._begun or not (self._banned or doubts)) and not self._rest
        plain = free and self.grammar is None and self._sampling.logprobs is None
        return self.rows == 1 and self._sampling.temperature <= 0 and plain

    def begin(self) -> None:
        """Note that the text has a first token."""
        self._begun = True

    def token(self, logits: torch.Tensor) -> int:
        """The next token by the logits [rows, tokens] of its rows."""
        logs = logits.float().log_softmax(dim=-1)
        if self._sampling.logprobs is not None:
            self.logs = self._mixed(logs)
        if self._banned and not self._begun:
            logs[:, self._banned] = -torch.inf
        mixed = self._mixed(logs)
        if self.grammar is not None:
            mixed[~self.grammar.allowed().to(mixed.device)] = -torch.inf
        token = self._chosen(mixed)
        if self.grammar is not None:
            self.grammar.take(token)
        return token

    def _mixed(self, logs: torch.Tensor) -> torch.Tensor:
        # Of one row alone this is the row.
        return torch.logsumexp(logs + logs.new_tensor(self._weights).log()[:, None], dim=0)

    def _chosen(self, mixed: torch.Tensor) -> int:
        if self._rest:
            token, *rest = self._rest
            self._rest = tuple(rest)
            return token
        supported = None if self._begun else self._supported
        if supported is not None and mixed[supported.token] >= math.log(supported.unless):
            self._rest = supported.rest
            return supported.token
        doubted = None if self._begun else self._doubted
        if doubted is not None and mixed[doubted.token] < math.log(doubted.bound):
            mixed[doubted.token] = -torch.inf
        return self._drawn(mixed) if self._sampling.temperature > 0 else int(mixed.argmax())

    def _drawn(self, logs: torch.Tensor) -> int:
        # From the likeliest down, in float64: a temperature near 0 is 0 in float32, and draws the likeliest.
        below = (logs - logs.max()).cpu().double()
        probabilities = (below / self._sampling.temperature).softmax(dim=-1)
        ordered, tokens = probabilities.sort(descending=True)
        # Nucleus: the fewest tokens that reach top_p together (Holtzman et al. 2020).
        kept = ordered.cumsum(dim=-1) - ordered < self._sampling.top_p
        kept[0] = True
        return int(tokens[torch.multinomial(ordered * kept, 1, generator=self._random)])


def choose(logits: torch.Tensor, choices: Sequence[Choice]) -> list[int]:
    """The next token of each text; `logits` [rows, tokens] hold the rows of all, one after another."""
    likeliest = logits.argmax(dim=-1).tolist()
    chosen, at = [], 0
    for choice in choices:
        rows = logits[at : at + choice.rows]
        chosen.append(likeliest[at] if choice.likeliest else choice.token(rows))
        choice.begin()
        at += choice.rows
    return chosen
