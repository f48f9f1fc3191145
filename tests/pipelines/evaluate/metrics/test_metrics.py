import pytest

from base.errors import RalmError
from pipelines.evaluate.metrics import NDCG, metric_named


def test_a_metric_has_a_name_and_another_is_refused_with_the_valid_ones():
    assert metric_named("nDCG") == NDCG
    with pytest.raises(RalmError, match=r"no metric 'ndgc': valid are success, .*bits per answer.*mean nDCG"):
        metric_named("ndgc")
