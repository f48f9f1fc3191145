"""The passages' part of a scaling curve: whether they hold what is asked for, at every depth."""

from collections.abc import Sequence

import numpy as np

from pipelines.evaluate.curve import Basis, Point
from pipelines.evaluate.intervals import mean
from pipelines.evaluate.metrics import CONTAINMENT, SUCCESS, RetrievalMetric, Right
from pipelines.evaluate.samples import Sample, by_share

_METRICS = (SUCCESS, CONTAINMENT)


def retrieval_points(samples: Sequence[Sample], basis: Basis) -> list[Point]:
    """How good the passages are that each share finds, by each metric that some questions allow."""
    points = []
    for metric in _METRICS:
        questions = [one.question for one in samples[0].of(metric.needs).searched]
        if not questions:
            continue
        judged = [(share, [_judged(metric, one) for one in some]) for share, some in by_share(samples)]
        for k in metric.depths:
            for share, rights in judged:
                values = np.array([metric.values(questions, of_one, k) for of_one in rights])
                short = sum(len(right) < k for of_one in rights for right in of_one)
                points.append(Point(metric, k, share, mean(values.mean(axis=0)), short, basis))
    return points


def _judged(metric: RetrievalMetric, sample: Sample) -> list[list[Right]]:
    """What is right in each hit: [questions][hits]."""
    return [
        [metric.right(one.question, hit.passage) for hit in one.ranking.hits]
        for one in sample.of(metric.needs).searched
    ]
