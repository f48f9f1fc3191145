import numpy as np
import pytest

from pipelines.evaluate.analysis.laws import Law
from pipelines.evaluate.analysis.spending import Way, advice, best_split, budgets, front_of

ALONE, FEW, MANY = Way("alone", 100, 0, 800), Way("few", 100, 50, 800), Way("many", 100, 900, 800)
LARGE = Way("large", 1000, 0, 4000)


def draws_of(means, noise=0.001):
    return means + np.random.default_rng(0).normal(0, noise, (200, len(means)))


def test_bits_and_shares_of_a_way():
    assert (FEW.bytes, FEW.bits, FEW.weights_share) == (150, 1.0, pytest.approx(2 / 3))
    assert np.isnan(Way("remote", 0, 0, 0).bits)


def test_with_each_round_budget_stands_the_best_and_what_it_gains_over_the_lm_alone():
    ways = [ALONE, FEW, MANY, LARGE]
    means = np.array([0.1, 0.3, 0.5, 0.2])
    front = front_of(ways, means, draws_of(means))
    assert budgets(front) == [100, 200, 500, 1000]
    alone, few, many = advice(ways, front)
    assert [(one.budget, one.best.name) for one in (alone, few, many)] == [
        *((100, "alone"), (200, "few"), (1000, "many"))
    ]
    assert alone.gain is None
    assert few.gain.value == pytest.approx(0.2)
    # The larger reader alone is no dearer than many passages.
    assert many.gain.value == pytest.approx(0.3)
    assert not many.gain.is_none
    assert many.rivals == ()


def test_ways_that_the_data_do_not_tell_apart_are_rivals():
    ways = [ALONE, FEW, MANY]
    means = np.array([0.1, 0.3, 0.31])
    assert advice(ways, front_of(ways, means, draws_of(means, 0.02)))[-1].rivals == (FEW,)


def test_a_laws_best_split_is_where_both_sides_gain_the_same():
    points = np.array([(n, d) for n in (1e8, 3e8, 1e9, 3e9) for d in np.geomspace(1e6, 1e9, 5)])
    means = 1 + (points[:, 0] / 1e8) ** -0.4 + (points[:, 1] / 1e6) ** -0.4
    law = Law.of(points, means, draws_of(means, 0.0005))
    split = best_split(law, 2e9, 8.0, higher=False)
    shares = np.linspace(0.001, 0.999, 999)
    truth = 1 + (shares * 2e9 / 1e8) ** -0.4 + ((1 - shares) * 2e9 / 8 / 1e6) ** -0.4
    best = shares[truth.argmin()]
    assert split.weights_share.low - 0.01 <= best <= split.weights_share.high + 0.01
    assert split.value.value == pytest.approx(truth.min(), abs=0.01)
    assert split.decades_beyond == 0
