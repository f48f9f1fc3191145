"""Words and n-grams of words, and how much of one text stands in another.

What "contaminated" and "alike" mean, for hits of a search and for passages of a build.
"""

import re
from collections.abc import Sequence
from typing import Any

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Lower-cased words."""
    return _WORD.findall(text.lower())


def ngrams(tokens: Sequence[str], n: int) -> set[tuple[str, ...]]:
    """All n words in a row; the whole text if it is shorter."""
    n = min(n, len(tokens))
    return {tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)} if n else set()


def jaccard(one: set[Any], other: set[Any]) -> float:
    """Shared members over all members; 0 if there are none."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 0.0


def containment(asked: Sequence[str], held: Sequence[str], n: int) -> float:
    """The share of a text's n-grams that another text holds; a text of fewer words is one n-gram."""
    wanted = ngrams(asked, n)
    n = min(n, len(asked))
    return len(wanted & ngrams(held, n)) / len(wanted) if wanted and len(held) >= n else 0.0
