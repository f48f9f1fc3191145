import numpy as np
import pytest

from pipelines.evaluate.analysis.compute import Work, fronts, repaid

SMALL = Work("small", 1e8, 1e10, 2e7, 0, 60)
FED = Work("fed", 1e8, 1e10, 2e7, 1e9, 400)
LARGE = Work("large", 1e9, 1e11, 2e7, 0, 60)


def test_operations_are_those_of_training_datastore_and_questions():
    assert SMALL.training == 6e18
    assert FED.datastore == 4e16
    assert SMALL.datastore == 0
    assert SMALL.question == 1.2e10
    assert FED.question == 8e10 + 2 * 2e7 * 32
    assert FED.total(10) == FED.training + FED.datastore + 10 * FED.question


def test_retrieval_brings_what_the_best_with_it_has_over_the_best_without_at_one_budget():
    means = np.array([0.2, 0.5, 0.45])
    draws = means + np.random.default_rng(0).normal(0, 0.005, (200, 3))
    found = fronts([SMALL, FED, LARGE], (means, draws), 1e6)
    assert found.every.on.tolist() == [True, True, False]
    assert found.alone.on.tolist() == [True, True]
    assert found.gain(FED.total(1e6)).value == pytest.approx(0.3)
    assert found.gain(LARGE.total(1e6)).value == pytest.approx(0.05)
    assert found.gain(1.0) is None
    assert found.best_alone() == 2
    assert found.match() == (1, pytest.approx(FED.total(1e6) / LARGE.total(1e6), rel=0.05))
    without = fronts([SMALL, LARGE, FED], (means[[0, 2, 0]], draws[:, [0, 2, 0]]), 1e6)
    assert without.match() is None


def test_passages_cost_at_each_question_and_training_once():
    once = repaid(FED, LARGE)
    assert once is None  # A larger reader costs more at each question, too: passages never cost more.
    long = Work("long", 1e8, 1e10, 2e7, 1e9, 4000)
    at = repaid(long, LARGE)
    assert long.total(at) == pytest.approx(LARGE.total(at))
    assert long.total(0.9 * at) < LARGE.total(0.9 * at)
    assert repaid(LARGE, SMALL) == 0.0
