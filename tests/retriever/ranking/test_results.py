from types import SimpleNamespace

import pytest

from base.errors import RalmError
from retriever.ranking import results as ranking
from retriever.ranking.results import DENSE, Hit, Method, Seconds
from tests.vectors import passage


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "sparse"}, "Unknown method 'sparse': valid are dense, bm25, hybrid"),
        ({"fusion": "sum"}, "Unknown fusion 'sum': valid are rrf, weighted"),
        ({"weight": 1.1}, "between 0 and 1, not 1.1"),
        ({"weight": -0.1}, "between 0 and 1, not -0.1"),
    ],
)
def test_a_method_that_is_none_says_which_there_are(wrong, message):
    with pytest.raises(RalmError, match=message):
        Method(**wrong)
    assert Method() == DENSE


def test_seconds_of_a_stage_add_up_and_stages_stand_apart(monkeypatch):
    ticks = iter([0.0, 2.0, 10.0, 11.0, 20.0, 20.5])
    monkeypatch.setattr(ranking, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    seconds = Seconds()
    for stage in ("read", "encode", "read"):
        with seconds.of(stage):
            pass
    assert seconds.stages == {"read": 2.5, "encode": 1.0}


def test_a_hit_is_the_same_in_every_generation_but_not_in_every_store():
    hit = Hit(3, 0.5, passage(3), generation=1)
    assert hit == Hit(3, 0.5, passage(3), generation=2)
    assert hit != Hit(3, 0.5, passage(3), generation=1, store="other")
