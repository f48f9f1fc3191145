import numpy as np
import pytest

from pipelines.evaluate.analysis.laws import Law, hold_out
from pipelines.evaluate.analysis.resampling import Measured

SIZES = np.geomspace(1e5, 1e8, 7)


def drawn(seed, exponent=0.3, questions=300):
    """A metric that comes near to 0.8 as a power law, of questions and samples."""
    rng = np.random.default_rng(seed)
    truth = 0.8 - 0.7 * (SIZES / 1e5) ** -exponent
    hard = rng.normal(0, 0.2, questions)
    values = [
        at + hard + rng.normal(0, 0.005, (seeds, 1)) + rng.normal(0, 0.3, (seeds, questions))
        for at, seeds in zip(truth, (3, 3, 3, 3, 3, 3, 1), strict=True)
    ]
    of = Measured.of(values)
    return of.means(), of.resampled(200, seed)


def test_exponent_and_offset_of_a_known_law_lie_in_their_intervals_as_often_as_these_say():
    held = []
    for seed in range(40):
        law = Law.of(SIZES, *drawn(seed))
        of = (law.exponents[0], 0.3), (law.offset, 0.8), (law.predict(1e9).value, 0.8 - 0.7 * 1e4**-0.3)
        error = hold_out(SIZES, *drawn(seed)).error
        held.append([error.is_none, *(one.low <= truth <= one.high for one, truth in of)])
    assert np.mean(held, axis=0).min() >= 0.85
    assert law.explained > 0.97


def test_a_joint_law_finds_both_exponents():
    points = np.array([(n, d) for n in (1e8, 4e8, 1.6e9) for d in SIZES])
    truth = 1 + 0.6 * (points[:, 0] / 1e8) ** -0.35 + 0.9 * (points[:, 1] / 1e5) ** -0.28
    rng = np.random.default_rng(0)
    measured = truth + rng.normal(0, 0.004, len(truth))
    draws = measured + rng.normal(0, 0.004, (100, len(truth)))
    law = Law.of(points, measured, draws)
    for found, exponent in zip(law.exponents, (0.35, 0.28), strict=True):
        assert found.low <= exponent <= found.high
        assert found.high - found.low < 0.2
    assert law.factors == pytest.approx([0.6 * 1e8**0.35, 0.9 * 1e5**0.28], rel=1.5)
    assert law.bounded
    assert law.stepped == ()
    held = hold_out(points, measured, draws)
    assert held.measured == measured[-1]
    assert held.error.is_none


def test_the_largest_point_is_predicted_from_the_others_and_an_error_is_seen():
    means, draws = drawn(1)
    held = hold_out(SIZES, means, draws)
    assert held.measured == means[-1]
    assert held.predicted.value - held.measured == held.error.value
    assert held.decades_beyond == pytest.approx(0.5)
    bent = means.copy(), draws.copy()
    bent[0][-1] -= 0.3
    bent[1][:, -1] -= 0.3
    assert not hold_out(SIZES, *bent).error.is_none


def test_a_prediction_far_beyond_the_data_says_so():
    law = Law.of(SIZES, *drawn(2))
    assert not law.predict(5e8).far
    assert law.predict(5e9).far
    assert law.predict(1e6).decades_beyond == 0


def noisy(means):
    draws = means + np.random.default_rng(0).normal(0, 0.003, (100, len(means)))
    return Law.of(SIZES, means, draws)


def test_what_grows_by_a_logarithm_or_faster_has_no_limit():
    straight = noisy(0.1 * np.log10(SIZES))
    assert not straight.bounded
    assert straight.exponents[0].low < 0 < straight.exponents[0].high
    faster = noisy(0.05 * (SIZES / 1e5) ** 0.37)
    assert not faster.bounded
    assert faster.exponents[0].low <= -0.37 <= faster.exponents[0].high < 0
    assert faster.predict(1e9).value.value == pytest.approx(0.05 * 1e4**0.37, rel=0.1)


def test_what_is_there_from_the_second_size_on_is_a_step():
    assert noisy((SIZES > 2e5).astype(float)).stepped == (0,)
