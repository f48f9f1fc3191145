import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.evaluate.analysis.resampling import Interval, Measured, spread


def measured(rng, seeds=3, questions=60, clusters=None, weights=None):
    return Measured.of([rng.random((seeds, questions)), rng.random((1, questions))], clusters, weights)


def test_means_are_over_seeds_and_by_weight():
    one = Measured.of([np.array([[1.0, 0.0], [0.0, 0.0]])], weights=np.array([3.0, 1.0]))
    assert one.means() == pytest.approx([0.375])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_a_difference_that_every_question_has_is_the_same_in_every_resample(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((3, 20))
    draws = Measured.of([values, values + 0.25]).resampled(50, seed)
    assert draws[:, 1] - draws[:, 0] == pytest.approx(np.full(50, 0.25))


def test_the_same_seed_gives_the_same_resamples():
    one = measured(np.random.default_rng(0))
    assert (one.resampled(20, 1) == one.resampled(20, 1)).all()
    assert not (one.resampled(20, 1) == one.resampled(20, 2)).all()


def test_clusters_are_drawn_whole():
    values = np.repeat([[1.0], [0.0], [0.0]], 10, axis=0).reshape(1, 30)
    apart = Measured.of([values]).resampled(400)
    together = Measured.of([values], clusters=np.repeat([4, 9, 7], 10)).resampled(400)
    assert together.std() > 2 * apart.std()


def test_one_cluster_has_no_interval():
    one = measured(np.random.default_rng(0), clusters=np.full(60, 7))
    assert one.resampled().shape == (0, 2)
    found = Interval.of(one.means()[0], one.resampled()[:, 0])
    assert (found.is_known, found.is_none) == (False, True)


@pytest.mark.parametrize("of_seeds", [0.0, 0.05])
def test_intervals_hold_the_truth_as_often_as_they_say(of_seeds):
    rng = np.random.default_rng(3)
    held = []
    for number in range(120):
        samples = rng.normal(0.0, of_seeds, (4, 1))
        values = 0.5 + samples + rng.normal(0, 0.3, 80) + rng.normal(0, 0.3, (4, 80))
        one = Measured.of([values])
        interval = Interval.of(one.means()[0], one.resampled(200, number)[:, 0])
        held.append(interval.low <= 0.5 <= interval.high)
    assert 0.88 <= np.mean(held) <= 1.0


def test_no_point_weighs_all():
    errors = spread(np.array([[1.0, 2.0], [1.0, 4.0]]))
    assert errors == pytest.approx([1.0, 1.0])
    assert spread(np.ones((3, 2))) == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("low", "high", "none"), [(-1, 1, True), (0, 1, True), (0.1, 1, False), (-2, -1, False)]
)
def test_a_difference_whose_interval_holds_0_is_none(low, high, none):
    assert Interval((low + high) / 2, low, high).is_none is none
