"""What a server says of itself: model, context, tokens of a text, a conversation by its template.

Servers differ: what one does not offer is None, and whoever asks does without.

Decisions: docs/decisions/remote-readers.md.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from base.errors import RalmError, Unavailable
from lm.backends.remote.address import root
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.failures import Malformed, Rejected
from lm.prompts import Message

# What a server holds that does not say so.
DEFAULT_CONTEXT = 4096
_PROBE = "one two"


class Server:
    """A model of a server. Raises RalmError if there is none, Unavailable if nobody answers."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        listed = self._listed()
        self.model = exchange.address.model or _only(listed, exchange.address.urls[0])
        entry = listed.get(self.model, {})
        self.context_tokens = exchange.address.context or self._context(entry) or DEFAULT_CONTEXT
        self._style = next((one for one in _STYLES if self._tokenized(one, _PROBE)), None)
        # The ids of a text's tokens, without those that stand before it unless `special`. (A method's cache
        # would keep the server for good.)
        self.tokens = lru_cache(512)(self._tokens)

    @property
    def tokenizes(self) -> bool:
        """Whether it gives a text's tokens."""
        return self._style is not None

    def _tokens(self, text: str, special: bool = False) -> tuple[int, ...]:
        if not text:
            return ()
        found = self._tokenized(self._style, text, special) if self._style else None
        if found is None:
            raise Unavailable(f"The server of {self.model} does not tokenize {text[:40]!r}: ask again.")
        return found

    def written(self, turns: Sequence[Message]) -> str | None:
        """A conversation up to the reader's turn, as text; None where the server does not write it."""
        messages = [{"role": one.role, "content": one.content} for one in turns]
        if self._style == "content":
            return self._exchange.ask_optional(
                lambda url: f"{root(url)}/apply-template",
                {"messages": messages},
                lambda got: _str(got, "prompt"),
            )
        if self._style is None:
            return None
        body = {"model": self.model, "messages": messages, "add_generation_prompt": True}
        ids = self._exchange.ask_optional(lambda url: f"{root(url)}/tokenize", body, _ids)
        return self._detokenized(ids) if ids else None

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of some tokens. Raises RalmError if the server does not write it."""
        found = self._detokenized(ids)
        if found is None:
            raise RalmError(f"The server of {self.model} does not write the text of tokens (`/detokenize`).")
        return found

    def _detokenized(self, ids: Sequence[int]) -> str | None:
        body = {"model": self.model, "tokens": list(ids)}
        name = "content" if self._style == "content" else "prompt"
        return self._exchange.ask_optional(
            lambda url: f"{root(url)}/detokenize", body, lambda got: _str(got, name)
        )

    def _listed(self) -> dict[str, dict[str, Any]]:
        try:
            return self._exchange.ask(lambda url: f"{url}/models", None, _models, tries=2)
        except Rejected as rejected:
            if rejected.status in (404, 405):
                return {}
            raise

    def _context(self, entry: dict[str, Any]) -> int | None:
        """The tokens that a model's entry in the list says; of llama.cpp, those of one of its slots."""
        for name in ("max_model_len", "context_length"):
            if _positive(entry.get(name)):
                return int(entry[name])
        trained = entry.get("meta")
        if not isinstance(trained, dict):
            return None
        slot = self._exchange.ask_optional(lambda url: f"{root(url)}/props", None, _slot)
        return slot or (int(trained["n_ctx_train"]) if _positive(trained.get("n_ctx_train")) else None)

    def _tokenized(self, style: str, text: str, special: bool = False) -> tuple[int, ...] | None:
        body = {"model": self.model, style: text, _STYLES[style]: special}
        if style == "content":
            body["parse_special"] = True
        return self._exchange.ask_optional(lambda url: f"{root(url)}/tokenize", body, _ids)


# How servers take a text to tokenize, and whether special tokens are to stand before it: vLLM and SGLang;
# llama.cpp.
_STYLES = {"prompt": "add_special_tokens", "content": "add_special"}


def estimate(text: str) -> int:
    """More tokens than most tokenizers make of a text: one a digit, and one for three bytes of all else."""
    digits = sum(one in "0123456789" for one in text)
    return digits + math.ceil((len(text.encode()) - digits) / 3)


def _models(answer: Any) -> dict[str, dict[str, Any]]:
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise Malformed("no list of models")
    return {one["id"]: one for one in entries if isinstance(one, dict) and isinstance(one.get("id"), str)}


def _only(listed: dict[str, Any], url: str) -> str:
    if not listed:
        raise RalmError(f"{url} does not list its models: name the one to read, as in {url}#my-model.")
    if len(listed) > 1:
        names = ", ".join(list(listed)[:8]) + (", …" if len(listed) > 8 else "")
        raise RalmError(f"{url} serves several models ({names}): name one, as in {url}#{next(iter(listed))}.")
    return next(iter(listed))


def _ids(answer: Any) -> tuple[int, ...]:
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(one, int) for one in tokens):
        raise Malformed("no list of tokens")
    return tuple(tokens)


def _str(answer: Any, name: str) -> str:
    found = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(found, str):
        raise Malformed(f"no {name}")
    return found


def _slot(answer: Any) -> int | None:
    settings = answer.get("default_generation_settings") if isinstance(answer, dict) else None
    found = settings.get("n_ctx") if isinstance(settings, dict) else None
    return int(found) if found is not None and _positive(found) else None


def _positive(found: Any) -> bool:
    return isinstance(found, int) and found > 0
