"""The passages that are found for a question, beside its gold documents or its answers: scores of rankings.

ir-measures computes them; what counts as right is said here.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from datastore.schema import Passage
from pipelines.evaluate.metrics.texts import contains
from pipelines.questions import Question

Right = str | None


@dataclass(frozen=True, slots=True)
class Target:
    """What makes a passage right: it is asked of the questions that have a `field`.

    `needs` gives what stands in that field, `right` the name of the right thing that a passage is for a
    question, None if it is none. Two passages of one gold document are one right thing.
    """

    field: str
    needs: Callable[[Question], Collection[str]]
    right: Callable[[Question, Passage], Right]


def _gold(question: Question) -> frozenset[str]:
    return question.gold_docs


def _of_gold(question: Question, passage: Passage) -> Right:
    return passage.doc_id if passage.doc_id in question.gold_docs else None


def _answers(question: Question) -> tuple[str, ...]:
    return question.answers


def _holds_answer(question: Question, passage: Passage) -> Right:
    held = contains(passage.text, question.answers)
    return f"{passage.domain}/{passage.doc_id}/{passage.chunk}" if held else None


GOLD = Target("gold_docs", _gold, _of_gold)
ANSWERS = Target("answers", _answers, _holds_answer)


@dataclass(frozen=True, slots=True)
class RetrievalMetric:
    """A score, 0 to 1, of the first k passages that are found for a question, for each k of `depths`.

    `measure` is what ir-measures calls it. `unit` is what the plot says of a hundred times its mean.
    """

    name: str
    target: Target
    measure: str
    depths: tuple[int, ...] = (1, 5, 20)
    unit: str = "% of questions"

    plotted: ClassVar[bool] = True
    better: ClassVar[str] = "higher"
    # Above its panel of the plot.
    title: ClassVar[str] = "What the passages hold"

    @property
    def field(self) -> str:
        """What of a question it is taken by."""
        return self.target.field

    @property
    def family(self) -> str:
        """Its name where no depth is meant, as success@k."""
        return f"{self.name}@k"

    def heading(self, k: int) -> str:
        """Its name in a table, as success@5."""
        return f"{self.name}@{k}"

    def label(self, k: int) -> str:
        """Its name in its panel of the plot."""
        return self.heading(k)

    def needs(self, question: Question) -> Collection[str]:
        """What a question is scored by; nothing if it has none."""
        return self.target.needs(question)

    def right(self, question: Question, passage: Passage) -> Right:
        """The right thing that a passage is for a question; the same for all metrics of one target."""
        return self.target.right(question, passage)

    def values(
        self, questions: Sequence[Question], rights: Sequence[Sequence[Right]], k: int
    ) -> NDArray[np.float64]:
        """The score of each question [n], by what is `right` in each of its passages, best first."""
        import ir_measures

        relevant: dict[str, dict[str, int]] = {}
        run: dict[str, dict[str, float]] = {}
        for at, (question, found) in enumerate(zip(questions, rights, strict=True)):
            # Of all passages that hold an answer nobody knows how many there are: those found must do.
            every = question.gold_docs if self.target == GOLD else {one for one in found[:k] if one}
            if every and found[:k]:
                names = {thing: f"right {number}" for number, thing in enumerate(sorted(every))}
                relevant[str(at)] = dict.fromkeys(names.values(), 1)
                run[str(at)] = _scored([names.get(one) if one else None for one in found[:k]])
        values = np.zeros(len(questions))
        if run:
            measure: Any = ir_measures.parse_measure(f"{self.measure}@{k}")
            for one in ir_measures.iter_calc([measure], relevant, run):
                values[int(one.query_id)] = one.value
        return values


def _scored(found: Sequence[Right]) -> dict[str, float]:
    """A ranking as ir-measures takes it: falling scores; of a thing that is found twice the first counts."""
    scores: dict[str, float] = {}
    for at, one in enumerate(found):
        scores[f"rank {at}" if one is None or one in scores else one] = -float(at)
    return scores


_MEAN = "100 times the mean"
# Many papers call its mean recall@k.
SUCCESS = RetrievalMetric("success", GOLD, "Success")
RECALL = RetrievalMetric("recall", GOLD, "R", unit="% of gold documents")
MRR = RetrievalMetric("MRR", GOLD, "RR", (10,), _MEAN)
NDCG = RetrievalMetric("nDCG", GOLD, "nDCG", (10,), _MEAN)
CONTAINMENT = RetrievalMetric("containment", ANSWERS, "Success")
CONTAINMENT_MRR = RetrievalMetric("containment MRR", ANSWERS, "RR", (10,), _MEAN)
# In the order of tables and plots.
RETRIEVAL = (SUCCESS, RECALL, MRR, NDCG, CONTAINMENT, CONTAINMENT_MRR)
