"""How likely a server's model finds texts: the tokens behind a context, found in one tokenization of both.

Decisions: docs/decisions/remote-readers.md.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from threading import Lock

from base.errors import RalmError
from lm.backends.remote.completions import Written
from lm.backends.remote.echo import SPECIAL, Echo, Echoed
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.server import Server
from lm.reader import Likelihood

# Of each scored token: its log-probability, and whether it is the likeliest.
Scored = list[tuple[float, bool]]


class Scorer:
    """Scores texts behind contexts. The server is tried with a known text first, once."""

    def __init__(self, exchange: Exchange, server: Server) -> None:
        self._exchange, self._server = exchange, server
        self._start = exchange.address.start
        self._opening = Lock()

    @cached_property
    def _known(self) -> Echo:
        return Echo(self._exchange, self._server.model)

    @property
    def _echo(self) -> Echo:
        with self._opening:
            return self._known

    def behind(self, context: Written, text: str) -> Scored:
        """The tokens of a text behind a context, from one tokenization of both.

        Spaces at the context's end belong to the text: tokenizers put a space before its word.
        """
        before = context.text.rstrip(" ")
        text = context.text[len(before) :] + text
        if not text:
            return []
        before = before or self._start
        found = self._echo.of(before + text, context.templated)
        first = found.behind(len(before))
        return self._scored(found, self._counted(before, text, found) if first is None else first)

    def rolling(self, text: str) -> Scored:
        """The tokens of a text in disjoint windows of the context, each behind the last token before it."""
        if not text:
            return []
        longest = self._server.context_tokens - self._echo.more
        ids = self._server.tokens(text) if self._start else None
        if ids is None or len(ids) < longest:
            return self.behind(Written(), text)
        found: Scored = []
        before = (self._server.tokens(self._start) or ())[-1:]
        for at in range(0, len(ids), longest - 1):
            part = ids[at : at + longest - 1]
            found += self._scored(self._echo.of((*before, *part)), len(before))
            before = part[-1:]
        return found

    def _counted(self, before: str, text: str, found: Echoed) -> int:
        """The first token of a text, by the tokens that the server counts in what stands before it."""
        head, whole = self._server.tokens(before), self._server.tokens(before + text)
        special = len(found.logs) - len(whole or ())
        if head is None or whole is None or not 0 <= special <= SPECIAL:
            raise RalmError(
                f"The server of {self._server.model} does not say where in {text[:40]!r} each token stands, "
                "nor does it tokenize: it cannot score this text."
            )
        return special + len(head)

    def _scored(self, found: Echoed, first: int) -> Scored:
        scored = list(zip(found.logs[first:], found.likeliest[first:], strict=True))
        if any(log is None for log, _ in scored):
            raise RalmError(
                f"The server of {self._server.model} does not score a text's first token: name the token "
                "that stands before a text, as in http://localhost:8000/v1?start=<|endoftext|>."
            )
        return [(log, likeliest) for log, likeliest in scored if log is not None]


def likelihood(scored: Sequence[Scored], weights: Sequence[float], text: str) -> Likelihood:
    """What a text's tokens give behind one context, or behind several: the mean of what these give.

    The likeliest token of a mean is not known. Raises RalmError if the contexts part the text differently.
    """
    size = len(text.encode())
    if len(scored) == 1:
        return Likelihood(tuple(log for log, _ in scored[0]), all(best for _, best in scored[0]), size)
    if len({len(one) for one in scored}) != 1:
        raise RalmError(
            f"The contexts of an ensemble part {text[:40]!r} into different tokens: score them apart."
        )
    mixed = []
    for column in zip(*scored, strict=True):
        most = max(log for log, _ in column)
        mean = sum(weight * math.exp(log - most) for weight, (log, _) in zip(weights, column, strict=True))
        mixed.append(most + math.log(mean))
    return Likelihood(tuple(mixed), False, size)
