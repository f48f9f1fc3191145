"""The passages' part of a scaling curve: every metric of retrieval, at every depth, for each share."""

from collections.abc import Sequence

import numpy as np

from pipelines.evaluate.curve import Basis, Point
from pipelines.evaluate.intervals import mean
from pipelines.evaluate.metrics import RETRIEVAL, RetrievalMetric
from pipelines.evaluate.samples import Sample, by_share


def retrieval_points(samples: Sequence[Sample], basis: Basis) -> list[Point]:
    """How good the passages are that each share finds, by each metric that some questions allow."""
    points = []
    for metric in RETRIEVAL:
        if not any(metric.needs(one.question) for one in samples[0].searched):
            continue
        judged = [(share, [_judged(metric, one) for one in some]) for share, some in by_share(samples)]
        for k in metric.depths:
            for share, rights in judged:
                values = np.array([[metric.score(right[:k]) for right in of_one] for of_one in rights])
                short = sum(len(right) < k for of_one in rights for right in of_one)
                points.append(Point(metric, k, share, mean(values.mean(axis=0)), short, basis))
    return points


def _judged(metric: RetrievalMetric, sample: Sample) -> list[list[bool]]:
    """Whether each hit is right: [questions][hits]."""
    return [
        [metric.right(one.question, hit.passage) for hit in one.ranking.hits]
        for one in sample.of(metric.needs).searched
    ]
