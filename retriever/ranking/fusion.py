"""Two rankings to one: by ranks or by scores.

Decisions: docs/decisions/words-and-fusion.md.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retriever.ranking.candidates import Ranked, filled_up

Fusion = Literal["rrf", "weighted"]

# Cormack, Clarke, Buettcher 2009, "Reciprocal Rank Fusion outperforms Condorcet": the constant there.
_RRF_CONSTANT = 60


def fuse(dense: Ranked, lexical: Ranked, k: int, how: Fusion, weight: float = 0.5) -> Ranked:
    """The k best rows of two rankings [n, depth] of the same queries.

    "rrf": the sum of 1 / (60 + rank), ranks from 1. "weighted": `weight` times the dense score and the rest
    times the lexical one, each scaled to 0..1 over the query's candidates; a row that one ranking lacks
    counts 0 there. Of equal scores the lower row comes first.
    """
    out = Ranked(
        np.full((len(dense.rows), k), -1, np.int64), np.full((len(dense.rows), k), -np.inf, np.float32)
    )
    weights = (weight, 1 - weight) if how == "weighted" else (1.0, 1.0)
    for query in range(len(dense.rows)):
        rows, values = [], []
        for ranked, share in zip((dense, lexical), weights, strict=True):
            exists = ranked.rows[query] >= 0
            rows.append(ranked.rows[query][exists])
            scores = ranked.scores[query][exists]
            values.append(share * (_reciprocal(len(scores)) if how == "rrf" else _scaled(scores)))
        joined, place = np.unique(np.concatenate(rows), return_inverse=True)
        total = np.bincount(place, np.concatenate(values), len(joined)).astype(np.float32)
        order = np.lexsort((joined, -total))[:k]
        out.rows[query, : len(order)], out.scores[query, : len(order)] = joined[order], total[order]
    return out


def words_alone(fused: Ranked, lexical: Ranked, known: NDArray[np.bool_]) -> Ranked:
    """The fused rankings [n, k], but the lexical ones of queries that are not `known` [n] to the encoder."""
    if known.all():
        return fused
    words = filled_up(lexical.rows, lexical.scores, fused.rows.shape[1])
    column = known[:, None]
    return Ranked(np.where(column, fused.rows, words.rows), np.where(column, fused.scores, words.scores))


def _reciprocal(count: int) -> NDArray[np.float64]:
    return 1 / (_RRF_CONSTANT + np.arange(1, count + 1))


def _scaled(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    if not len(scores):
        return np.empty(0)
    low, high = float(scores.min()), float(scores.max())
    if high == low:
        return np.ones(len(scores))
    return (scores.astype(np.float64) - low) / (high - low)
