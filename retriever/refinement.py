"""What may follow the search of a query: filters that look at it and its hits, a cross-encoder, diversity.

All of it depends on the query, which a View never does. If a filter drops hits, the search goes deeper until
k are left (`searching.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from base.names import did_you_mean
from retriever.results import Hit
from retriever.words import containment, jaccard, ngrams, words

# Words in a row that two passages share if one was copied from the other: chance rarely gives five.
_SHINGLE = 5


@dataclass(frozen=True, slots=True)
class Decontamination:
    """When a passage holds the question it is found for, and must not help to answer it.

    "containment": at least `threshold` of the n-grams of the question, or of an answer of n words or more,
    stand in the passage. MassiveDS (Shao et al. 2024) has two more: "overlap", n words in a row (32 there)
    are shared, and "jaccard", n-grams (13 there) are alike. Jaccard hardly fires: a long passage that holds
    the whole question shares a tiny part of its own n-grams with it.
    """

    method: Literal["containment", "overlap", "jaccard"] = "containment"
    n: int = 8
    threshold: float = 0.8

    @classmethod
    def by(cls, method: str, n: int | None = None, threshold: float = 0.8) -> "Decontamination":
        """A method by name, its n-grams as long as is usual for it: of 8, 32 and 13 words."""
        usual = {"overlap": 32, "jaccard": 13}.get(method, 8)
        return cls(method, usual if n is None else n, threshold)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        if self.method not in ("containment", "overlap", "jaccard"):
            raise RalmError(
                f"Unknown decontamination {self.method!r}: valid are containment, overlap and jaccard"
                + did_you_mean(self.method, ("containment", "overlap", "jaccard"))
            )
        if self.n < 1 or not 0 < self.threshold <= 1:
            raise RalmError("Decontamination needs n of at least 1 and a threshold above 0, at most 1.")

    def hits(self, passage: str, question: str, answers: Sequence[str] = ()) -> bool:
        """Whether a passage is contaminated by a question and its answers."""
        held = words(passage)
        asked = [words(question), *(tokens for answer in answers if len(tokens := words(answer)) >= self.n)]
        if self.method == "overlap":
            # Fewer than n words in a row are no overlap, however short the question is.
            grams = ngrams(held, self.n) if len(held) >= self.n else set()
            return any(len(one) >= self.n and not grams.isdisjoint(ngrams(one, self.n)) for one in asked)
        if self.method == "jaccard":
            return any(jaccard(ngrams(held, self.n), ngrams(one, self.n)) >= self.threshold for one in asked)
        return any(containment(one, held, self.n) >= self.threshold for one in asked)


@dataclass(frozen=True, slots=True)
class Refinement:
    """What to do with the hits of a query; each part can be left out.

    `near_duplicates`: drop a hit whose 5-word shingles have at least this Jaccard similarity with those of a
    better hit. `decontamination`: drop hits that hold the question. `cross_encoder`: rank the best `pool`
    hits by this model. `diversity` in 0..1: choose by maximal marginal relevance (Carbonell, Goldstein 1998),
    1 - diversity times the score less diversity times the likeness to what is chosen.
    """

    near_duplicates: float | None = None
    decontamination: Decontamination | None = None
    cross_encoder: str | None = None
    diversity: float = 0.0
    pool: int = 50

    def __post_init__(self) -> None:
        if self.near_duplicates is not None and not 0 < self.near_duplicates <= 1:
            raise RalmError(f"near_duplicates must be above 0 and at most 1, not {self.near_duplicates}.")
        if not 0 <= self.diversity <= 1:
            raise RalmError(f"diversity must be between 0 and 1, not {self.diversity}.")
        if self.pool < 1:
            raise RalmError(f"pool must be at least 1, not {self.pool}.")

    @property
    def filters(self) -> bool:
        """Whether it may drop hits."""
        return self.near_duplicates is not None or self.decontamination is not None

    @property
    def reorders(self) -> bool:
        """Whether it ranks a pool of hits anew."""
        return self.cross_encoder is not None or self.diversity > 0


def kept(
    refinement: Refinement, texts: Sequence[str], question: str, answers: Sequence[str] = ()
) -> list[int]:
    """Which of a query's hits, given by their texts best first, the filters keep: positions."""
    found: list[int] = []
    shingles: list[set[tuple[str, ...]]] = []
    for at, text in enumerate(texts):
        rule = refinement.decontamination
        if rule is not None and rule.hits(text, question, answers):
            continue
        if refinement.near_duplicates is not None:
            mine = ngrams(words(text), _SHINGLE)
            if any(jaccard(mine, other) >= refinement.near_duplicates for other in shingles):
                continue
            shingles.append(mine)
        found.append(at)
    return found


def filtered(
    refinement: Refinement, hits: tuple[Hit, ...], question: str, answers: Sequence[str] = ()
) -> tuple[Hit, ...]:
    """The hits of a query, best first, that the filters keep."""
    if not refinement.filters:
        return hits
    positions = kept(refinement, [hit.passage.text for hit in hits], question, answers)
    return tuple(hits[at] for at in positions)


def reordered(
    refinement: Refinement,
    query: str,
    hits: Sequence[Hit],
    k: int,
    vectors_of: Callable[[Sequence[Hit]], NDArray[np.float16]],
) -> tuple[Hit, ...]:
    """The k best of a query's hits as cross-encoder and diversity rank them; `vectors_of` reads [n, d]."""
    hits = list(hits)
    if refinement.cross_encoder and hits:
        scores = cross_encoder(refinement.cross_encoder)(query, [hit.passage.text for hit in hits])
        order = np.argsort(-scores, kind="stable").tolist()
        hits = [replace(hits[at], score=float(scores[at])) for at in order]
    if refinement.diversity and hits:
        scores = np.array([hit.score for hit in hits], np.float32)
        hits = [hits[at] for at in diverse(scores, vectors_of(hits), k, refinement.diversity)]
    return tuple(hits[:k])


Scorer = Callable[[str, Sequence[str]], NDArray[np.float32]]


@lru_cache(maxsize=2)
def cross_encoder(name: str) -> Scorer:
    """A cross-encoder by name or folder, loaded once: (query, passages) -> float32 scores."""
    from sentence_transformers import CrossEncoder

    try:
        model = CrossEncoder(name, device="cpu")
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RalmError(
            f"There is no cross-encoder {name!r} ({reason}): name a folder, or a model of the hub."
        ) from None
    if model.model.config.num_labels != 1:
        raise RalmError(
            f"{name} gives {model.model.config.num_labels} scores for a pair: a ranker gives one."
        )

    def scores(query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        pairs = [(query, passage) for passage in passages]
        found: NDArray[np.float32] = model.predict(pairs, show_progress_bar=False)
        return found

    return scores


def diverse(scores: NDArray[np.float32], vectors: NDArray[np.float16], k: int, diversity: float) -> list[int]:
    """Positions of k hits by maximal marginal relevance; vectors [n, d] say how alike hits are.

    Scores and likenesses beyond 1, as of vectors that keep their lengths, are scaled to it: they are weighed
    against each other.
    """
    floats = vectors.astype(np.float32)
    alike = floats @ floats.T
    alike /= max(1.0, float(alike.max(initial=0.0)))
    scores = scores / max(1.0, float(np.abs(scores).max(initial=0.0)))
    left, chosen = list(range(len(scores))), [int(np.argmax(scores))] if len(scores) else []
    left = [at for at in left if at not in chosen]
    while left and len(chosen) < k:
        gain = (1 - diversity) * scores[left] - diversity * alike[np.ix_(left, chosen)].max(axis=1)
        chosen.append(left.pop(int(np.argmax(gain))))
    return chosen[:k]
