import numpy as np
import pytest

from pipelines.evaluate.analysis.fitting import FASTEST, LEAST, MOST, fit

X = np.geomspace(0.1, 10, 9)


def design(exponents):
    powers = X[:, None] ** -exponents[..., None, :]
    return np.concatenate([np.ones_like(powers), powers], axis=-1)


@pytest.mark.parametrize("exponent", [0.05, 0.31, 1.7, -0.4])
def test_what_has_no_noise_is_found_again(exponent):
    y = 3.0 - 2.0 * X**-exponent
    found = fit(design, 1, np.stack([y, 2 * y]), np.ones(9))
    assert found.exponents[:, 0] == pytest.approx([exponent] * 2, rel=1e-3)
    assert found.coefficients == pytest.approx(np.array([[3, -2], [6, -4]]), rel=1e-2)
    assert found.squares.max() < 1e-4 * np.square(y).sum()


def test_exponents_stay_within_their_bounds():
    step = (X > 1).astype(float)
    line = np.log(X)
    found = fit(design, 1, np.stack([step, line]), np.ones(9)).exponents[:, 0]
    assert -FASTEST <= found.min() <= found.max() <= MOST
    assert abs(found[1]) == pytest.approx(LEAST)


def test_it_is_what_a_general_minimizer_finds():
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(0)
    y = 1.0 - 0.4 * X**-0.3 + rng.normal(0, 0.05, 9)
    theirs, _ = curve_fit(lambda x, c, a, b: c + a * x**-b, X, y, p0=(1, -0.4, 0.3))
    ours = fit(design, 1, y[None], np.ones(9))
    assert ours.exponents[0, 0] == pytest.approx(theirs[2], rel=1e-2)
    assert ours.coefficients[0] == pytest.approx(theirs[:2], rel=1e-2)
