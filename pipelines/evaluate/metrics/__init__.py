"""What a study scores by. A metric is an entry of RETRIEVAL, READER or LIKELIHOODS; all others follow.

Each has a `name`, a `unit`, the `field` of questions that it needs, and says whether higher is `better`.
"""

from base.errors import RalmError
from base.names import did_you_mean
from pipelines.evaluate.metrics.answers import (
    ACCURACY,
    BITS,
    LIKELIHOODS,
    READER,
    LikelihoodMetric,
    ReaderMetric,
    bits,
    bits_per_answer,
    likeliest,
)
from pipelines.evaluate.metrics.knowledge import FATES, Fate, Knowledge, split
from pipelines.evaluate.metrics.retrieval import (
    CONTAINMENT,
    CONTAINMENT_MRR,
    MRR,
    NDCG,
    RECALL,
    RETRIEVAL,
    SUCCESS,
    RetrievalMetric,
    Right,
)
from pipelines.evaluate.metrics.texts import abstention, contains, exact_match, f1, normalize

Metric = RetrievalMetric | ReaderMetric
METRICS: dict[str, Metric | LikelihoodMetric] = {one.name: one for one in (*RETRIEVAL, *READER, *LIKELIHOODS)}


def metric_named(name: str) -> Metric | LikelihoodMetric:
    """The metric of a name, as `nDCG`. Raises RalmError for another, with the valid ones."""
    if name not in METRICS:
        near = did_you_mean(name, tuple(METRICS))
        raise RalmError(f"There is no metric {name!r}: valid are {', '.join(METRICS)}{near}")
    return METRICS[name]


__all__ = [
    "ACCURACY",
    "BITS",
    "CONTAINMENT",
    "CONTAINMENT_MRR",
    "FATES",
    "LIKELIHOODS",
    "METRICS",
    "MRR",
    "NDCG",
    "READER",
    "RECALL",
    "RETRIEVAL",
    "SUCCESS",
    "Fate",
    "Knowledge",
    "LikelihoodMetric",
    "Metric",
    "ReaderMetric",
    "RetrievalMetric",
    "Right",
    "abstention",
    "bits",
    "bits_per_answer",
    "contains",
    "exact_match",
    "f1",
    "likeliest",
    "metric_named",
    "normalize",
    "split",
]
