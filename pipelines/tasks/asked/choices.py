"""Multiple choice by lm-eval, alone and with passages: its samples as questions that were answered twice.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from lm.reader import Reader
from pipelines.evaluate.intervals import clusters_of
from pipelines.evaluate.metrics import BITS, bits, contains
from pipelines.evaluate.questions.answered import Answered, Arms
from pipelines.execution.progress import BuildProgress
from pipelines.tasks.evaluation import measure
from pipelines.tasks.results import TaskResults
from pipelines.tasks.study import TaskStudy
from retriever.retriever import Retriever

KNOWN_BY = "accuracy"
# By lm-eval's names.
_METRICS = {"acc": KNOWN_BY, "acc_norm": "accuracy by bytes"}
# Of a choice so short it says nothing that it stands in a passage.
_LETTER = 1

Samples = Sequence[Mapping[str, Any]]


def choose(
    study: TaskStudy, retriever: Retriever, reader: Reader, progress: BuildProgress | None = None
) -> Answered:
    """Ask a study's tasks, alone and with passages. Raises RalmError for what is no multiple choice."""
    return answered(measure(study, retriever, reader, progress))


def answered(results: TaskResults) -> Answered:
    """Results of multiple choice as questions that were answered twice."""
    assert results.alone is not None  # Who asks for both has both.
    beside, alone = (_samples(one) for one in (results.found, results.alone))
    if not beside or any(KNOWN_BY not in _names(one) for one in beside):
        raise RalmError("lm-eval does not score the task by acc, as choices: ask it by `ralm eval tasks`.")
    arms = [
        Arms(name, _numbers(alone, of), _numbers(beside, of))
        for of, name in _METRICS.items()
        if all(of in one for one in beside)
    ]
    if all(_gold(one) is not None for one in beside):
        arms.append(Arms(BITS.name, _bits(alone), _bits(beside), is_share=False))
    return Answered(
        tuple(f"{one['task']}/{one['doc_id']}" for one in beside),
        clusters_of([list(one["doc"].get("gold_docs") or []) for one in beside]),
        tuple(arms),
        KNOWN_BY,
        _held(beside, alone),
        results.basis,
    )


def _samples(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The samples of all tasks, in order, each with its task's name; one a question."""
    return [
        {**one, "task": task}
        for task, samples in found["samples"].items()
        for one in sorted(samples, key=lambda one: int(one["doc_id"]))
        if one["filter"] == "none"
    ]


def _names(sample: Mapping[str, Any]) -> list[str]:
    return [_METRICS[one] for one in sample["metrics"] if one in _METRICS]


def _gold(sample: Mapping[str, Any]) -> int | None:
    """The number of the right choice, if lm-eval gives one."""
    target = sample["target"]
    if isinstance(target, str) and target.isdigit():
        target = int(target)
    return target if isinstance(target, int) and 0 <= target < len(sample["filtered_resps"]) else None


def _numbers(samples: Samples, name: str) -> NDArray[np.float64]:
    return np.array([float(one[name]) for one in samples])


def _bits(samples: Samples) -> NDArray[np.float64]:
    """The bits of each right choice."""
    return np.array([bits(float(one["filtered_resps"][_gold(one) or 0][0])) for one in samples])


def _held(beside: Samples, alone: Samples) -> NDArray[np.bool_] | None:
    """Whether the passages before each question hold its right choice; None where choices are letters."""
    found = []
    for ours, theirs in zip(beside, alone, strict=True):
        text = _right_text(ours)
        if text is None or len(text) <= _LETTER:
            return None
        found.append(contains(_front(ours, theirs), [text]))
    return np.array(found, bool)


def _right_text(sample: Mapping[str, Any]) -> str | None:
    number, choices = _gold(sample), sample["doc"].get("choices")
    if number is None:
        return None
    if isinstance(choices, list) and len(choices) > number and isinstance(choices[number], str):
        return str(choices[number])
    return str(sample["arguments"][number][1]).strip()


def _front(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """What stands before a question with passages that does not without."""
    with_passages, without = (str(one["arguments"][0][0]) for one in (ours, theirs))
    return with_passages.removesuffix(without)
