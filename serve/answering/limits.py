"""The most that one request may ask of a service. Knows no HTTP."""

from dataclasses import dataclass

from base.errors import RalmError


@dataclass(frozen=True, slots=True)
class Limits:
    """Passages of a query, queries of a request, tokens of a text; None: what the dialects allow."""

    k: int | None = None
    queries: int | None = None
    tokens: int | None = None

    def require_search(self, queries: int, k: int) -> None:
        """Raise RalmError for a search of more."""
        _require("queries", queries, self.queries)
        _require("passages for a query", k, self.k)

    def require_tokens(self, tokens: int) -> None:
        """Raise RalmError for a text that may come to more."""
        _require("tokens of an answer", tokens, self.tokens)


def _require(what: str, asked: int, most: int | None) -> None:
    if most is not None and asked > most:
        raise RalmError(f"This service gives at most {most:,} {what}, not {asked:,}: ask for fewer.")
