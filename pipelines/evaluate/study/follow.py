"""What follows a search in a study: filters by name, and a reranker that scores each pair once.

`retriever/refinement.py` refines one search of one view; here many views are refined that found the same
passages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from base.errors import RalmError
from base.names import did_you_mean
from pipelines.questions import Question
from retriever.refinement import Decontamination, Refinement, Scorer, cross_encoder, filtered
from retriever.results import Hit

# Filters by the names that a study has for them: several are joined by a plus.
_NAMED = {
    "overlap": Refinement(decontamination=Decontamination.by("overlap")),
    "jaccard": Refinement(decontamination=Decontamination.by("jaccard")),
    "containment": Refinement(decontamination=Decontamination.by("containment")),
    "near-duplicates": Refinement(near_duplicates=0.8),
}
FILTERS = ("none", *_NAMED)


def parts_of(name: str) -> tuple[Refinement, ...]:
    """The filters of a name, as overlap+jaccard. Raises RalmError that lists the valid ones."""
    if name == "none":
        return ()
    parts = name.split("+")
    for one in parts:
        if one not in _NAMED:
            near = did_you_mean(one, FILTERS)
            raise RalmError(f"Unknown filter {one!r}: valid are {', '.join(FILTERS)}, joined by +{near}")
    return tuple(_NAMED[one] for one in parts)


def kept(name: str, hits: tuple[Hit, ...], question: Question) -> tuple[Hit, ...]:
    """The hits of a question, best first, that a filter keeps."""
    for part in parts_of(name):
        hits = filtered(part, hits, question.text, question.answers)
    return hits


@dataclass
class Reranker:
    """A cross-encoder that scores each passage once for each question, however many views find it.

    Its scores are kept until `forget`.
    """

    name: str
    _scores: dict[tuple[str, int], float] = field(default_factory=dict)

    def rank(self, query: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """The hits in the order of their scores; of equal ones, as they stood."""
        new = [hit for hit in hits if (query, hit.row) not in self._scores]
        if new:
            scores = self._scorer(query, [hit.passage.text for hit in new])
            self._scores |= {(query, hit.row): float(one) for hit, one in zip(new, scores, strict=True)}
        order = np.argsort([-self._scores[query, hit.row] for hit in hits], kind="stable")
        return tuple(hits[at] for at in order.tolist())

    @property
    def _scorer(self) -> Scorer:
        return cross_encoder(self.name)

    def forget(self) -> None:
        """Drop the scores of questions that are done with."""
        self._scores.clear()
