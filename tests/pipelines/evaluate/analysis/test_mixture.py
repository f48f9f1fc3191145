import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.evaluate.analysis.mixture import Regression, drawn, rates, shares

SIZES = np.array([5000.0, 2000.0, 500.0, 100.0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 500), min_size=2, max_size=6), st.floats(0.01, 0.99), st.integers(0, 1000))
def test_every_mixture_keeps_the_budget_and_no_more_than_there_is(sizes, share, seed):
    of = np.array(sizes, float)
    weights = drawn(of, 20, np.random.default_rng(seed))
    assert weights.sum(axis=1) == pytest.approx(np.ones(20))
    kept = rates(weights, of, share * of.sum())
    assert (kept >= 0).all()
    assert (kept <= 1 + 1e-9).all()
    assert kept @ of == pytest.approx(np.full(20, share * of.sum()), rel=1e-6)
    assert shares(kept, of).sum(axis=1) == pytest.approx(np.ones(20))


def test_mixtures_lie_around_the_natural_one_and_stray_far():
    weights = drawn(SIZES, 4000, np.random.default_rng(0))
    assert weights.mean(axis=0) == pytest.approx(SIZES / SIZES.sum(), abs=0.02)
    assert weights[:, 0].min() < 0.05
    assert weights[:, 1].max() > 0.95


def found_by(kept):
    """A metric with a falling return of each domain: most of all of the third."""
    of = shares(kept, SIZES)
    return 0.2 * np.sqrt(of[:, 0]) + 0.6 * np.sqrt(of[:, 2]) + 0.05 * of[:, 1]


def test_a_regression_ranks_mixtures_that_it_has_not_seen_and_names_a_better_one():
    rng = np.random.default_rng(1)
    kept = rates(drawn(SIZES, 300, rng), SIZES, 900)
    metric = found_by(kept) + rng.normal(0, 0.01, 300)
    regression = Regression.of(shares(kept, SIZES), metric)
    assert regression.rank.low > 0.9
    best = regression.best(SIZES, 900)
    assert best @ SIZES == pytest.approx(900)
    natural = np.full(4, 900 / SIZES.sum())
    assert found_by(best[None])[0] > found_by(natural[None])[0] + 0.1
    assert found_by(best[None])[0] > 0.97 * found_by(kept).max()


def test_where_a_mixture_does_not_matter_the_rank_correlation_says_so():
    rng = np.random.default_rng(2)
    kept = rates(drawn(SIZES, 200, rng), SIZES, 900)
    rank = Regression.of(shares(kept, SIZES), rng.normal(0.5, 0.01, 200)).rank
    assert rank.low < 0.2
    assert Regression.of(shares(kept, SIZES), np.full(200, 0.5)).rank.value == 0
