import numpy as np
import pytest

from pipelines.evaluate.analysis.panels import is_share
from pipelines.evaluate.analysis.resampling import Interval
from pipelines.evaluate.report.wording import change, number, percent, plain, score, signed, size, tokens

GAIN, NONE = Interval(0.123, 0.05, 0.2), Interval(-0.01, -0.03, 0.02)


@pytest.mark.parametrize(
    ("unit", "share"), [("share", True), ("% of questions", True), ("bits", False), ("", False)]
)
def test_shares_are_shown_in_per_cent(unit, share):
    assert is_share(unit) is share
    assert number(0.5, unit) == ("50.0%" if share else "0.5")
    assert score(GAIN, unit) == ("12.3 [5.0, 20.0]" if share else "0.123 [0.05, 0.2]")


def test_a_difference_whose_interval_holds_0_is_none():
    assert change(GAIN, "share") == "+12.3 points [+5.0, +20.0]"
    assert change(NONE, "share") == "none (−1.0 points [−3.0, +2.0])"
    assert change(NONE, "share", named=False) == "none (−1.0 [−3.0, +2.0])"
    assert signed(Interval(0.0, -0.0001, 0.0), "share") == "0.0 points [0.0, 0.0]"
    assert signed(NONE, "bits") == "−0.01 [−0.03, +0.02]"
    assert plain(NONE) == "−0.01 [−0.03, 0.02]"


def test_where_there_is_no_interval_none_is_shown():
    none = Interval.of(0.125, np.empty(0))
    assert score(none, "share") == "12.5"
    assert change(none, "share") == "none (+12.5 points)"
    assert plain(none) == "0.125"
    assert (percent(np.nan), percent(0.5)) == ("–", "50%")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12, "", "12"),
        (999.7, "B", "1 kB"),
        (1_420_000, "", "1.42 M"),
        (3e9, "B", "3 GB"),
        (0.5, "J", "0.5 J"),
    ],
)
def test_sizes_have_three_digits(value, unit, text):
    assert size(value, unit) == text


def test_tokens_are_named():
    assert tokens(1e8) == "100 M tokens"
