"""Retrieval's part of a study: every metric at every depth, of what each arm finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.evaluate.metrics import RETRIEVAL, RetrievalMetric, Right
from pipelines.evaluate.study.arms import Arm
from pipelines.evaluate.study.finding.searching import Batch
from pipelines.evaluate.study.scores import result_of
from pipelines.evaluate.study.settings import Study
from pipelines.evaluate.study.tasks import Task
from pipelines.evaluate.tables import Basis, Result, Values
from pipelines.questions import Question
from retriever.results import Hit


@dataclass
class Judge:
    """Takes what arms find, batch by batch, and scores it. `metrics` are those that some questions allow."""

    task: Task
    study: Study
    metrics: Sequence[RetrievalMetric]
    _questions: dict[str, list[Question]] = field(default_factory=dict)
    _rights: dict[tuple[str, Arm], list[list[Right]]] = field(default_factory=dict)

    def take(self, batch: Batch) -> None:
        """Look which of the passages are right that each arm found for some questions."""
        for metric in {one.field: one for one in self.metrics}.values():
            mine = [at for at, one in enumerate(batch.questions) if metric.needs(one)]
            self._questions.setdefault(metric.field, []).extend(batch.questions[at] for at in mine)
            seen: dict[tuple[str, int], Right] = {}
            for arm, found in batch.found.items():
                self._rights.setdefault((metric.field, arm), []).extend(
                    _rights(metric, batch.questions[at], found[at], seen) for at in mine
                )

    def results(self, bases: Mapping[Arm, Basis]) -> tuple[list[Result], list[Values]]:
        """The figures of all that was taken, and what they are means of."""
        results, values = [], []
        for metric in self.metrics:
            questions = self._questions[metric.field]
            ids = tuple(one.id for one in questions)
            clusters = self.task.clusters(ids)
            for arm, basis in bases.items():
                for k in depths_of(metric, self.study):
                    cell = arm.cell(k)
                    scores = metric.values(questions, self._rights[metric.field, arm], k)
                    values.append(Values(self.task.name, cell.id, metric.name, ids, clusters, scores))
                    results.append(result_of(values[-1], "retrieval", metric, cell, basis))
        return results, values


def _rights(
    metric: RetrievalMetric, question: Question, hits: Sequence[Hit], seen: dict[tuple[str, int], Right]
) -> list[Right]:
    """What each hit is right of. Most are found by many arms: each passage is looked at once."""
    for hit in hits:
        if (question.id, hit.row) not in seen:
            seen[question.id, hit.row] = metric.right(question, hit.passage)
    return [seen[question.id, hit.row] for hit in hits]


def depths_of(metric: RetrievalMetric, study: Study) -> tuple[int, ...]:
    """How many passages a metric looks at: as many as a study says for all, else its own depths."""
    return study.depths or metric.depths


def allowed(task: Task, names: Sequence[str]) -> list[RetrievalMetric]:
    """The metrics of some names (none: all) that some questions of a task allow."""
    return [
        one for one in RETRIEVAL if (not names or one.name in names) and any(map(one.needs, task.questions))
    ]
