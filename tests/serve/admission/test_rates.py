from hypothesis import given
from hypothesis import strategies as st

from serve.admission.rates import Rates


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@given(st.integers(1, 50), st.lists(st.floats(0, 100), max_size=200))
def test_no_more_pass_than_two_minutes_worth_in_any_minute_nor_more_than_the_rate_in_the_long_run(
    rate, pauses
):
    clock = Clock()
    rates, passed = Rates(clock), []
    for pause in pauses:
        clock.now += pause
        if not rates.wait("ann", rate):
            passed.append(clock.now)
    for at in passed:
        assert sum(at <= one < at + 60 for one in passed) <= 2 * rate
    if passed:
        assert len(passed) <= rate * (1 + (passed[-1] - passed[0]) / 60) + 1e-6


@given(st.integers(1, 50))
def test_who_waits_as_long_as_told_may_pass(rate):
    clock = Clock()
    rates = Rates(clock)
    for _ in range(rate):
        assert rates.wait("ann", rate) == 0.0
    wait = rates.wait("ann", rate)
    assert 0 < wait <= 60 / rate + 1e-6
    assert rates.wait("ann", rate) == wait  # Who is refused is not counted.
    assert rates.wait("ben", rate) == 0.0
    clock.now += wait
    assert rates.wait("ann", rate) == 0.0


def test_who_has_rested_is_forgotten():
    clock = Clock()
    rates = Rates(clock)
    for number in range(10_000):
        rates.wait(str(number), 1)
    clock.now += 61
    rates.wait("new", 1)
    assert len(rates._full) == 1
