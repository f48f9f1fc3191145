import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.analysis.fronts import Front, on_front

POINTS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12)


@given(POINTS)
def test_a_way_is_on_the_front_if_and_only_if_nothing_beats_it(points):
    costs, values = np.array(points, float).T
    on = on_front(costs, values[None])[0]
    for at, (cost, value) in enumerate(points):
        beaten = [
            other
            for other, (c, v) in enumerate(points)
            if (c <= cost and v > value)
            or (c < cost and v == value)
            or (other < at and (c, v) == (cost, value))
        ]
        assert on[at] == (not beaten)


def front(higher=True):
    means = np.array([0.1, 0.3, 0.31, 0.2])
    draws = means + np.random.default_rng(0).normal(0, 0.02, (300, 4))
    sign = 1 if higher else -1
    return Front.of([1, 2, 5, 3], sign * means, sign * draws, higher)


@pytest.mark.parametrize("higher", [True, False])
def test_the_best_within_a_budget_and_those_the_data_do_not_tell_from_it(higher):
    of = front(higher)
    assert of.on.tolist() == [True, True, True, False]
    assert [of.best(budget) for budget in (0.5, 1, 4, 9)] == [None, 0, 1, 2]
    assert of.rivals(9) == [1]
    assert of.rivals(0.5) == []
    assert of.against(2, 1).is_none
    assert not of.against(1, 0).is_none
    assert of.score(0).low < of.means[0] < of.score(0).high


def test_the_share_of_resamples_says_how_sure_a_place_on_the_front_is():
    share = front().share
    assert share[0] == share[1] == 1
    assert 0.3 < share[2] < 0.9
    assert share[3] < 0.05
