"""How likely a server's model finds texts: the tokens behind a context, found in one tokenization of both.

Where the server tokenizes and takes token ids, texts are parted as those of a reader in this process are;
elsewhere by the characters at which the server says that tokens end.

Decisions: docs/decisions/remote-readers.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

from base.errors import RalmError
from lm.backends.remote.completions import Written
from lm.backends.remote.echo import KNOWN, Echo, Echoed
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.server import Server
from lm.backends.scoring.rows import Tokens, fitted, windows
from lm.reader import WHOLE, Likelihood, Row, Windows

# The id of a start token that nobody knows.
_UNKNOWN = -1
_NAME_IT = "name the token that stands before a text, as in http://localhost:8000/v1?start=<|endoftext|>."


@dataclass(frozen=True, slots=True)
class Logprobs:
    """`tokens` behind a context, each one's log-probability, whether it is the likeliest; those left out."""

    tokens: tuple[str, ...] = ()
    logs: tuple[float, ...] = ()
    likeliest: tuple[bool, ...] = ()
    left_out: int = 0


class ServedTokenizer:
    """A server's tokenizer, as `rows.Tokens` takes one."""

    eos_token_id = None

    def __init__(self, server: Server, start: str) -> None:
        self._server = server
        whole, bare = self("a")["input_ids"], self("a", False)["input_ids"]
        before = whole[: -len(bare)] if whole[-len(bare) :] == bare else []
        found = self(start, False)["input_ids"] if start else before[-1:]
        if start and len(found) != 1:
            raise RalmError(
                f"The setting start of {server.model} must be one token, but {start!r} is {len(found)}."
            )
        self.bos_token_id = found[0] if found else _UNKNOWN
        # Text in which nobody writes a token that has no name here.
        self._start = start or "\ufffe"

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": list(self._server.tokens(text, add_special_tokens))}

    def decode(self, ids: Sequence[int]) -> str:
        return self._start


class EchoScorer:
    """Scores texts. The server is tried with a known text first, once: RalmError if it cannot score."""

    def __init__(self, exchange: Exchange, server: Server) -> None:
        self._exchange, self._server = exchange, server
        # A server may be about to add a token, and reads the last one too.
        self._longest = server.context_tokens - 2
        self._opening = Lock()
        self._opened: tuple[Echo, Tokens | None] | None = None

    @property
    def _parts(self) -> tuple[Echo, Tokens | None]:
        with self._opening:
            if self._opened is None:
                echo = Echo(self._exchange, self._server.model)
                has_ids = self._server.tokenizes and echo.takes_ids(self._server.tokens(KNOWN, True))
                start = self._exchange.address.start
                self._opened = echo, Tokens(ServedTokenizer(self._server, start)) if has_ids else None
            return self._opened

    @property
    def tokens(self) -> Tokens:
        """The model's tokens. Raises RalmError if they are not at hand."""
        _, tokens = self._parts
        if tokens is None:
            raise RalmError(
                f"The server of {self._server.model} does not show its tokens: it scores no windows of "
                "texts, and shortens none."
            )
        return tokens

    def row(self, row: Row) -> Logprobs:
        """A text of tokens behind others. Raises RalmError for one that is too long."""
        if not row.text:
            return Logprobs()
        row, _ = fitted(row, self._longest, False, self._server.model)
        if _UNKNOWN in row.context:
            raise RalmError(f"The server of {self._server.model} does not say how texts begin: {_NAME_IT}")
        echo, _ = self._parts
        return self._behind(echo.of((*row.context, *row.text)), len(row.context))

    def behind(self, context: Written, text: str, shorten: bool = False) -> Logprobs:
        """A text behind a context. White space at a plain context's end belongs to the text.

        Raises RalmError for what is too long, unless the oldest tokens may be left out to `shorten` it.
        """
        echo, tokens = self._parts
        if tokens is not None:
            row = tokens.behind(context.text, text, template=context.templated)
            row, left_out = fitted(row, self._longest, shorten, self._server.model)
            return replace(self.row(row), left_out=left_out)
        before = context.text if context.templated else context.text.rstrip()
        text = context.text[len(before) :] + text
        if not text:
            return Logprobs()
        before = before or self._exchange.address.start
        found = echo.of(before + text, context.templated)
        return self._behind(found, found.behind(len(before), self._server.model))

    def rolling(self, text: str, how: Windows) -> list[Logprobs]:
        """A text from its first token on, in windows."""
        _, tokens = self._parts
        if tokens is None and how == WHOLE:
            return [self.behind(Written(), text)]
        tokens = self.tokens
        return [self.row(row) for row in windows(tokens.of(text), tokens.start, self._longest, how)]

    def _behind(self, found: Echoed, first: int) -> Logprobs:
        logs = tuple(log for log in found.logs[first:] if log is not None)
        if len(logs) < len(found.logs) - first:
            raise RalmError(
                f"The server of {self._server.model} does not score a text's first token: {_NAME_IT}"
            )
        return Logprobs(found.tokens[first:], logs, found.likeliest[first:])


def likelihood(text: str, parts: Sequence[Logprobs]) -> Likelihood:
    """A text whose tokens were scored in parts."""
    logs = tuple(log for one in parts for log in one.logs)
    greedy = all(best for one in parts for best in one.likeliest)
    return Likelihood(logs, greedy, len(text.encode()), sum(one.left_out for one in parts))


def mixed(text: str, behind: Sequence[Logprobs], weights: Sequence[float]) -> Likelihood:
    """A text behind several contexts: the weighted mean of their distributions at each token.

    The likeliest token of a mean is not known: it is never greedy. Raises RalmError if the contexts part the
    text differently.
    """
    if len({one.tokens for one in behind}) > 1:
        raise RalmError(
            "The prompts of an ensemble end so differently that a text has other tokens behind some of them: "
            "end all in the same word."
        )
    means = []
    for logs in zip(*(one.logs for one in behind), strict=True):
        most = max(logs)
        total = math.fsum(weight * math.exp(log - most) for weight, log in zip(weights, logs, strict=True))
        means.append(most + math.log(total))
    return Likelihood(tuple(means), False, len(text.encode()), sum(one.left_out for one in behind))
