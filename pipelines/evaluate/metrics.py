"""Scores of answers and rankings, and how sure they are."""

import re
import string
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "’‘“”")
_RESAMPLES = 1000


def normalize(text: str) -> str:
    """Lower-case, without punctuation, articles and extra space (Rajpurkar et al. 2016, SQuAD)."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, expected: Collection[str]) -> bool:
    """Whether the answer is one of those expected, both normalized."""
    return normalize(answer) in {normalize(one) for one in expected}


def contains(text: str, expected: Collection[str]) -> bool:
    """Whether one of the expected answers stands in the text, in whole words, both normalized."""
    padded = f" {normalize(text)} "
    return any((n := normalize(one)) and f" {n} " in padded for one in expected)


def confidence(values: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean of per-question values, by the percentile bootstrap (Efron 1979).

    Resamples questions, so it says how the figure would vary with other questions of the kind.
    """
    if not len(values):
        return float("nan"), float("nan")
    draws = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def first_rank(matches: Sequence[bool]) -> int:
    """The rank, from 1, of the first match; 0 if there is none."""
    return next((rank for rank, match in enumerate(matches, 1) if match), 0)
