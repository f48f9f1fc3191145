"""Values of questions to a figure with its interval."""

from pipelines.evaluate.intervals import mean
from pipelines.evaluate.metrics import BITS, LikelihoodMetric, ReaderMetric, RetrievalMetric
from pipelines.evaluate.tables import Basis, Cell, Kind, Result, Values

Metric = RetrievalMetric | ReaderMetric | LikelihoodMetric


def result_of(values: Values, kind: Kind, metric: Metric, cell: Cell, basis: Basis) -> Result:
    """The mean of some values by a metric, with its interval: questions that hang together vary together."""
    score = mean(values.values, values.clusters)
    return Result(
        values.task,
        kind,
        values.metric,
        unit="bits" if metric == BITS else "share",
        better=metric.better,
        value=score.value,
        low=score.low,
        high=score.high,
        n=score.n,
        cell=cell,
        basis=basis,
    )
