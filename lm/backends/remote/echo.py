"""A text with the log-probabilities of its tokens, as a server repeats it (`echo` and `logprobs`).

Some servers take such a request and answer without them: one known text is asked first, and they are refused.

Decisions: docs/decisions/remote-readers.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from base.errors import RalmError, Unavailable
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.failures import Malformed, Rejected

KNOWN = "One, two, three and four. The sky is blue by day and black by night."
# Special tokens that a tokenizer puts before a text at most.
SPECIAL = 2

Text = str | Sequence[int]


@dataclass(frozen=True, slots=True)
class Echoed:
    """The tokens of a text: how each is written, its log-probability, and whether it is the likeliest one.

    `ends` [tokens] are the characters of the text behind each, 0 for special tokens before it. It is None if
    the tokens as the server writes them do not add up to the text, as where a character takes several tokens.
    """

    tokens: tuple[str, ...]
    logs: tuple[float | None, ...]
    likeliest: tuple[bool, ...]
    ends: tuple[int, ...] | None

    def behind(self, border: int, name: str) -> int:
        """The first token that holds something behind a character of the text.

        Raises RalmError if nobody can tell: `name` is the model's.
        """
        if self.ends is None:
            raise RalmError(
                f"The server of {name} writes tokens of a text that do not add up to it, nor does it "
                "tokenize: it cannot score this text."
            )
        return next((at for at, end in enumerate(self.ends) if end > border), len(self.ends))


class Echo:
    """A model of a server as what scores. Raises RalmError if it does not return a prompt's tokens."""

    def __init__(self, exchange: Exchange, model: str) -> None:
        self._exchange, self._model = exchange, model
        # Tokens that the server must be let continue by: none, or one where it takes no less.
        self.more = self._probed()

    def of(self, text: Text, templated: bool = False) -> Echoed:
        """A text, or token ids. Raises RalmError for one that is too long for the server."""
        return self._exchange.ask(
            self._route,
            self._body(text, self.more, templated),
            lambda answer: echoed(answer, text, self.more),
        )

    def takes_ids(self, ids: Sequence[int]) -> bool:
        """Whether the server scores the known text's token ids as it scored the text."""
        known = self.of(KNOWN)
        try:
            found = self._exchange.ask_optional(
                self._route, self._body(ids, self.more), lambda answer: echoed(answer, ids, self.more)
            )
        except Unavailable:
            return False
        pairs = zip(known.logs, found.logs if found else (), strict=False)
        return found is not None and len(known.logs) == len(found.logs) and all(map(_near, pairs))

    def _probed(self) -> int:
        came = error = ""
        for more in (0, 1):
            try:
                lack = self._exchange.ask(self._route, self._body(KNOWN, more), partial(_lack, more), tries=2)
            except Rejected as rejected:
                error = f"an error: {rejected}"
            except Unavailable:
                # Some servers fail where they are to add no token.
                if more:
                    raise
            else:
                if not lack:
                    return more
                came = came or lack
        raise RalmError(
            f"The server of {self._model} cannot score: asked to repeat a known text with the "
            f"log-probabilities of its tokens (`echo` and `logprobs`), it gave {came or error}."
        )

    @staticmethod
    def _route(url: str) -> str:
        return f"{url}/completions"

    def _body(self, text: Text, more: int, templated: bool = False) -> dict[str, Any]:
        # A chat template has written its special tokens: the server must not add its own.
        special = {"add_special_tokens": False} if templated else {}
        return special | {
            "model": self._model,
            "prompt": text if isinstance(text, str) else list(text),
            "max_tokens": more,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
        }


def _lack(more: int, answer: Any) -> str:
    """What an answer to the known text lacks; "" if it is as it should be."""
    try:
        found = echoed(answer, KNOWN, more)
    except Malformed as malformed:
        return malformed.came
    if found.ends is None:
        return "tokens that do not add up to it"
    if all(not log for log in found.logs):
        return "log-probabilities of 0"
    return ""


def echoed(answer: Any, text: Text, more: int) -> Echoed:
    """The tokens in an answer, without what continues the text. Raises Malformed if it has none."""
    choice, tokens, logs = _choice(answer)
    usage = answer.get("usage")
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    count = counted if isinstance(counted, int) else len(tokens) - more
    if isinstance(text, str) and not str(choice.get("text", "")).startswith(text):
        raise Malformed("another text than it was given")
    if not 0 < count <= len(tokens) or (not isinstance(text, str) and count != len(text)):
        raise Malformed(f"log-probabilities of {len(tokens)} tokens where the text has {count}")
    probabilities = tuple(logs["token_logprobs"][:count])
    if not all(_is_log(one) for one in probabilities[1:]) or not (
        probabilities[0] is None or _is_log(probabilities[0])
    ):
        raise Malformed("tokens without a log-probability")
    tops = logs["top_logprobs"][:count]
    if not all(isinstance(one, dict) and one for one in tops[1:]):
        raise Malformed("no likeliest tokens")
    ends = _ends(tokens[:count], text, logs["text_offset"]) if isinstance(text, str) else None
    return Echoed(tuple(tokens[:count]), probabilities, tuple(map(_is_likeliest, probabilities, tops)), ends)


def _choice(answer: Any) -> tuple[dict[str, Any], list[str], dict[str, list[Any]]]:
    try:
        choice = answer["choices"][0]
        logs = choice["logprobs"]
        tokens = logs["tokens"]
        lists = {name: logs[name] for name in ("token_logprobs", "text_offset", "top_logprobs")}
    except (KeyError, IndexError, TypeError):
        raise Malformed("no log-probabilities") from None
    if not all(isinstance(one, list) and len(one) == len(tokens) for one in (tokens, *lists.values())):
        raise Malformed("lists of log-probabilities of different lengths")
    if not all(isinstance(one, str) for one in tokens):
        raise Malformed("tokens that are no strings")
    return choice, tokens, lists


def _ends(tokens: Sequence[str], text: str, offsets: Sequence[Any]) -> tuple[int, ...] | None:
    for special in range(SPECIAL + 1):
        if "".join(tokens[special:]) == text:
            break
    else:
        return None
    ends = [0] * special + list(accumulate(map(len, tokens[special:])))
    begins = [0, *ends[special:-1]]
    said = offsets[special : len(tokens)]
    if (
        not all(isinstance(one, int) for one in said)
        or [one - said[0] for one in said] != begins[: len(said)]
    ):
        raise Malformed("a text_offset that does not fit its tokens")
    return tuple(ends)


def _is_log(found: Any) -> bool:
    """Whether it is the logarithm of a probability; rounding may lift one a little above 0."""
    return isinstance(found, int | float) and math.isfinite(found) and found < 1e-3


def _is_likeliest(log: float | None, top: dict[str, float] | None) -> bool:
    return log is not None and bool(top) and log >= max((top or {}).values())


def _near(pair: tuple[float | None, float | None]) -> bool:
    """Whether two scores of a token are the same, as far as models in 16 bits repeat themselves."""
    one, other = pair
    return one == other or (
        one is not None and other is not None and abs(one - other) < 0.05 + 0.02 * abs(one)
    )
