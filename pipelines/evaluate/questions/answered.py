"""Questions answered twice, alone and with passages: every figure, split by what the reader knows alone.

Knows values alone: no reader, no passages.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.intervals import Clusters, Score, difference, mean
from pipelines.evaluate.metrics import Knowledge, split

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
ALL = "all"


@dataclass(frozen=True)
class Arms:
    """A metric's value of each question [n], alone and `beside` passages: a share, 0 to 1, or bits."""

    metric: str
    alone: Floats
    beside: Floats
    is_share: bool = True


@dataclass(frozen=True)
class Answered:
    """Questions [n] that were answered alone and with passages.

    `known_by` names the metric by which an answer is right. `held` says whose passages hold the answer, None
    where nobody can tell. `basis` is what all rests on.
    """

    ids: tuple[str, ...]
    clusters: Clusters
    arms: tuple[Arms, ...]
    known_by: str
    held: Mask | None = None
    basis: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def knowledge(self) -> Knowledge:
        """What passages change of what the reader knows."""
        right = next(one for one in self.arms if one.metric == self.known_by)
        return split((right.alone > 0).tolist(), (right.beside > 0).tolist(), self.clusters)

    def groups(self) -> dict[str, Mask]:
        """Which questions [n] each group holds, by its name; none is empty."""
        known = self.knowledge.known
        found = {ALL: np.ones(len(self.ids), bool), "known alone": known, "not known alone": ~known}
        if self.held is not None:
            found |= {"answer in the passages": self.held, "answer not in them": ~self.held}
        return {name: mask for name, mask in found.items() if mask.any()}

    def figures(self, mask: Mask) -> dict[str, dict[str, Score]]:
        """Of some questions [n] each metric: alone, with passages, and the paired difference."""
        clusters = self.clusters[mask]
        return {
            one.metric: {
                "alone": mean(one.alone[mask], clusters),
                "with_passages": mean(one.beside[mask], clusters),
                "difference": difference(one.beside[mask], one.alone[mask], clusters),
            }
            for one in self.arms
        }

    def to_json(self) -> dict[str, Any]:
        """All of it, by names: shares from 0 to 1."""
        knowledge = self.knowledge
        return {
            **self.basis,
            "questions": len(self.ids),
            "clusters": len(np.unique(self.clusters)),
            "known_by": self.known_by,
            "groups": {
                name: {
                    "questions": int(mask.sum()),
                    "figures": {
                        metric: {
                            arm: asdict(score) | ({"change": score.change} if arm == "difference" else {})
                            for arm, score in arms.items()
                        }
                        for metric, arms in self.figures(mask).items()
                    },
                    "knowledge": {fate: asdict(score) for fate, score in knowledge.of(mask).shares().items()},
                }
                for name, mask in self.groups().items()
            },
            "notes": list(self.notes),
        }

    def lines(self) -> list[dict[str, Any]]:
        """A line for each question: what it scored in both arms, and what became of it."""
        fates = self.knowledge.fates
        return [
            {
                "id": id,
                "cluster": int(self.clusters[at]),
                "fate": fates[at],
                "held": None if self.held is None else bool(self.held[at]),
                "alone": {one.metric: float(one.alone[at]) for one in self.arms},
                "with_passages": {one.metric: float(one.beside[at]) for one in self.arms},
            }
            for at, id in enumerate(self.ids)
        ]
