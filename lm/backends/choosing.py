"""The next token: from one distribution or the mean of several, the likeliest or drawn by temperature."""

from collections.abc import Sequence
from typing import Any

import torch

from lm.prompts import Asked, Ensemble, prompts_of
from lm.reader import Sampling


class Choice:
    """Chooses each next token of a batch, as a processor of logits that leaves one token possible.

    A row's draw depends on its own seed alone, not on what else is in its batch. The rows of an ensemble
    get the same token, chosen from the weighted mean of their distributions (REPLUG: Shi et al. 2023).
    """

    def __init__(
        self, groups: Sequence[Sequence[float]], sampling: Sampling, banned: Sequence[int], width: int
    ) -> None:
        """`groups` are the weights of the rows of each request; `banned` tokens begin no text."""
        self._groups, self._sampling, self._banned, self._width = groups, sampling, list(banned), width
        self._random = [torch.Generator() for _ in groups]
        for random in self._random:
            if sampling.seed is None:
                random.seed()
            else:
                random.manual_seed(sampling.seed)

    @classmethod
    def of(cls, asked: Sequence[Asked], sampling: Sampling, tokenizer: Any, width: int) -> "Choice | None":
        """None where the likeliest token of each row is what is wanted. `width` [tokens] of the prompts."""
        ensembles = any(len(prompts_of(one)) > 1 for one in asked)
        if not (ensembles or sampling.temperature > 0 or sampling.without):
            return None
        groups = [one.weights if isinstance(one, Ensemble) else (1.0,) for one in asked]
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in sampling.without]
        return cls(groups, sampling, [one[0] for one in ids if one], width)

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits [rows, tokens] to ones that leave a single token of each row possible."""
        logs = scores.float().log_softmax(dim=-1)
        if self._banned and ids.shape[1] == self._width:
            logs[:, self._banned] = -torch.inf
        chosen, at = [], 0
        for weights, random in zip(self._groups, self._random, strict=True):
            rows = logs[at : at + len(weights)]
            at += len(weights)
            # Of one row alone this is the row.
            mixed = torch.logsumexp(rows + rows.new_tensor(weights).log()[:, None], dim=0)
            chosen += [self._token(mixed, random)] * len(weights)
        only = torch.full_like(scores, -torch.inf)
        only[torch.arange(len(chosen)), torch.tensor(chosen, device=scores.device)] = 0
        return only

    def _token(self, logs: torch.Tensor, random: torch.Generator) -> int:
        if self._sampling.temperature <= 0:
            return int(logs.argmax())
        probabilities = (logs / self._sampling.temperature).softmax(dim=-1).cpu()
        ordered, tokens = probabilities.sort(descending=True)
        # Nucleus: the fewest tokens that reach top_p together (Holtzman et al. 2020).
        kept = ordered.cumsum(dim=-1) - ordered < self._sampling.top_p
        kept[0] = True
        return int(tokens[torch.multinomial(ordered * kept, 1, generator=random)])
