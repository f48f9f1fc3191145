import numpy as np
import pytest

from pipelines.evaluate.analysis.saturation import saturation

SIZES = np.geomspace(1e4, 1e8, 9)


def seen(means, noise=0.005, higher=True):
    rng = np.random.default_rng(0)
    return saturation(SIZES, means, means + rng.normal(0, noise, (200, len(means))), higher)


LOGS = np.log10(SIZES) - 4


@pytest.mark.parametrize(
    ("means", "noise", "verdict"),
    [
        (0.1 * np.minimum(LOGS, 2.5), 0.005, "saturated"),
        (0.1 * LOGS, 0.005, "improving"),
        (0.1 * np.minimum(LOGS, 3) + 0.05 * np.maximum(LOGS - 3, 0), 0.005, "slowing"),
        (0.1 * LOGS, 0.2, "undecided"),
        (0.1 * LOGS - 0.15 * np.maximum(LOGS - 3, 0), 0.005, "falling"),
    ],
)
def test_each_verdict(means, noise, verdict):
    assert seen(means, noise).verdict == verdict
    assert seen(1 - means, noise, higher=False).verdict == verdict


def test_gains_are_of_a_decade():
    found = seen(0.1 * LOGS)
    assert found.last.value == pytest.approx(0.1)
    assert found.before.value == pytest.approx(0.1)


def test_less_than_a_decade_and_a_half_says_nothing():
    assert saturation(SIZES[:3], np.zeros(3), np.zeros((5, 3))) is None
