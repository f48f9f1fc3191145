"""Answers to figures: every metric of a reader, in every put of a task."""

from dataclasses import replace

import numpy as np

from pipelines.evaluate.metrics import BITS, READER
from pipelines.evaluate.study.reading.answers import Kept
from pipelines.evaluate.study.reading.prompts import Asked
from pipelines.evaluate.study.reading.variants import Variant, with_reader
from pipelines.evaluate.study.scores import result_of
from pipelines.evaluate.tables import Basis, Result, Values


def answer_results(
    asked: Asked, variant: Variant, kept: Kept, basis: Basis
) -> tuple[list[Result], list[Values]]:
    """The figures of what a reader answers in one put, and what they are means of."""
    task, put, askings = asked.task, asked.put, asked.askings
    cell = variant.of(put.cell(), put.conditioning)
    ids = tuple(one.question.id for one in askings)
    answers = [kept.answers[one.demand.key] for one in askings]
    joules = [one.joules for one in answers]
    basis = replace(
        with_reader(basis, dict(kept.card), variant.settings),
        prompt_tokens=float(np.mean([one.prompt_tokens for one in answers])),
        answer_tokens=float(np.mean([one.tokens for one in answers])),
        joules=None if None in joules else float(np.mean([one or 0.0 for one in joules])),
    )
    held = np.array([one.held for one in askings]) if put.arm else None
    alike = Values(task.name, cell.id, "", ids, task.clusters(ids), np.zeros(len(ids)), held)
    results, values = [], []
    for metric in READER:
        scores = [
            float(metric.score(one.text, asking.question.answers))
            for one, asking in zip(answers, askings, strict=True)
        ]
        values.append(replace(alike, metric=metric.name, values=np.array(scores)))
        results.append(result_of(values[-1], "questions", metric, cell, basis))
    if all(one.bits is not None for one in answers):
        values.append(replace(alike, metric=BITS.name, values=np.array([one.bits for one in answers], float)))
        results.append(result_of(values[-1], "questions", BITS, cell, basis))
    return results, values
