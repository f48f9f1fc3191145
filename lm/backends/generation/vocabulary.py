"""What a model's tokens are: which end a text, how each is written, which may come next in a grammar.

Knows a tokenizer; knows no model. Grammars are llguidance's.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from base.errors import RalmError
from lm.reader import Position, TokenLogprob


@dataclass(frozen=True, slots=True)
class Doubted:
    """A token that begins a text only where its probability is at least a `bound`.

    Where only what passages support is to be said, the token begins the text, and the `rest` makes it, from a
    probability of `unless` on.
    """

    token: int
    bound: float = 0.5
    rest: tuple[int, ...] = ()
    unless: float = 0.12


class Vocabulary:
    """A tokenizer, the tokens that end a text, and the one that begins an abstention, where that is known.

    `width` is how many logits the model has; None: as many as tokens.
    """

    def __init__(
        self, tokenizer: Any, ends: Set[int], abstention: Doubted | None = None, width: int | None = None
    ) -> None:
        self.tokenizer, self.ends, self.abstention = tokenizer, ends, abstention
        self._width = width

    @cached_property
    def _tokens(self) -> Any:
        # Takes a second: for those alone who ask for a grammar, or for the bytes of tokens.
        from llguidance.hf import from_tokenizer

        return from_tokenizer(self.tokenizer, self._width, sorted(self.ends))

    def grammar(self, schema: str) -> "Grammar":
        """What keeps a text to a JSON schema. Raises RalmError for a schema that cannot be kept to."""
        return Grammar(self._tokens, schema)

    def require(self, tokens: Sequence[int]) -> None:
        """Raise RalmError for a token that the model does not have."""
        size = self._width or len(self.tokenizer)
        if wrong := [one for one in tokens if not 0 <= one < size]:
            raise RalmError(f"There is no token {wrong[0]}: the reader's tokens are 0 to {size - 1:,}.")

    def positions(
        self, tokens: Sequence[int], ranked: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None
    ) -> tuple[Position, ...]:
        """The tokens of a text. `ranked` are the logs of all but the first, and the likeliest with theirs."""
        if ranked is None:
            return tuple(Position(self.logprob(one, None)) for one in tokens)
        found = [Position(self.logprob(tokens[0], None))]
        each = zip(tokens[1:], *(one.tolist() for one in ranked), strict=True)
        for token, log, best, theirs in each:
            top = tuple(self.logprob(*pair) for pair in zip(best, theirs, strict=True))
            found.append(Position(self.logprob(token, log), top))
        return tuple(found)

    def logprob(self, token: int, logprob: float | None) -> TokenLogprob:
        """A token as it is written, and how likely it was."""
        data: bytes = self._tokens.decode_bytes([token])
        return TokenLogprob(token, data, logprob)

    def position(self, token: int, logs: torch.Tensor, top: int) -> Position:
        """A token beside the `top` likeliest in its place, by the logarithms of their probabilities."""
        best = logs.topk(min(top, len(logs)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return Position(self.logprob(token, float(logs[token])), tuple(self.logprob(*one) for one in pairs))


class Grammar:
    """The tokens that may come next for a text to be JSON of a schema; white space is not left to the model.

    A small model that may begin lines goes on beginning them.
    """

    def __init__(self, tokens: Any, schema: str) -> None:
        from llguidance import LLMatcher

        try:
            grammar = LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
        except ValueError as error:
            raise _unusable(str(error)) from None
        self._matcher = LLMatcher(tokens, grammar, log_level=0)
        self._mask = np.empty((tokens.vocab_size + 31) // 32, np.int32)
        self._size = int(tokens.vocab_size)
        self._check()

    def allowed(self) -> torch.Tensor:
        """Which tokens [vocabulary] may come next; only those that end the text, once it is whole."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little")
        return torch.from_numpy(bits[: self._size].astype(bool))

    def take(self, token: int) -> None:
        """Note the next token."""
        self._matcher.consume_token(token)

    def _check(self) -> None:
        if self._matcher.is_error():
            raise _unusable(self._matcher.get_error())


def _unusable(reason: str) -> RalmError:
    line = " ".join(reason.split())[:200]
    return RalmError(f"The JSON schema of the answer cannot be kept to ({line}): simplify it.")
