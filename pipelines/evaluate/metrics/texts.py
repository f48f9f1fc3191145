"""A text beside the answers that are expected: exact match, containment, F1. Knows no question.

Decisions: docs/decisions/measuring.md.
"""

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence

from lm.abstention import abstains

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """Lower-case, without ASCII's punctuation, articles and extra space (Rajpurkar et al. 2016, SQuAD)."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, expected: Collection[str]) -> bool:
    """Whether the answer is one of those expected, both normalized."""
    return normalize(answer) in {normalize(one) for one in expected}


def contains(text: str, expected: Collection[str]) -> bool:
    """Whether one of the expected answers stands in the text, in whole words, both normalized."""
    padded = f" {normalize(text)} "
    return any((n := normalize(one)) and f" {n} " in padded for one in expected)


def f1(answer: str, expected: Collection[str]) -> float:
    """How much an answer has in common with the nearest of those expected, 0 to 1 (Rajpurkar et al. 2016).

    The harmonic mean of two shares: of the answer's words that are expected, and of those expected that it
    has, all normalized and each as often as it occurs.
    """
    return max((_f1(normalize(answer).split(), normalize(one).split()) for one in expected), default=0.0)


def _f1(words: Sequence[str], expected: Sequence[str]) -> float:
    shared = sum((Counter(words) & Counter(expected)).values())
    return 2 * shared / (len(words) + len(expected)) if shared else float(words == expected)


def abstention(answer: str, expected: Collection[str]) -> bool:
    """Whether an answer says that it does not know, whatever is expected."""
    return abstains(answer)
