from lm.backends.remote.failures import Broken
from lm.backends.remote.replicas import FIRST_WAIT, LONGEST_WAIT, Replicas, Timing

URLS = ("http://a/v1", "http://b/v1", "http://c/v1")


def test_requests_are_spread_over_the_least_busy(time):
    found = Replicas(URLS, time.timing)
    taken = [found.take() for _ in range(6)]
    assert sorted(one.url for one in taken) == sorted(URLS * 2)
    found.give_back(taken[1])
    assert found.take() is taken[1]


def test_one_after_the_other_they_go_round(time):
    found = Replicas(URLS, time.timing)
    urls = []
    for _ in range(6):
        one = found.take()
        found.give_back(one)
        urls.append(one.url)
    assert urls == [*URLS, *URLS]


def test_one_that_fails_is_left_for_a_while_longer_each_time(time):
    found = Replicas(URLS[:2], time.timing)
    bad = found.take()
    found.give_back(bad)
    waits = []
    for _ in range(9):
        found.failed(bad, Broken("x"), time.now)
        waits.append(bad.left_until - time.now)
        assert found.take().url == URLS[1]
        time.now = bad.left_until
    assert waits[:4] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    found.worked(bad)
    found.failed(bad, Broken("x"), time.now)
    assert bad.left_until - time.now == FIRST_WAIT


def test_requests_that_fail_together_count_once(time):
    found = Replicas(URLS[:1], time.timing)
    bad = found.take()
    time.now = 5.0
    for _ in range(16):
        found.failed(bad, Broken("x"), asked_at=4.0)
    assert bad.failures == 1
    assert found.delay() == FIRST_WAIT


def test_a_server_that_asks_for_more_time_gets_it(time):
    found = Replicas(URLS[:1], time.timing)
    found.failed(found.take(), Broken("x", after=9), 0.0)
    assert found.delay() == 9


def test_chance_spreads_those_that_come_back():
    found = Replicas(URLS[:1], Timing(lambda: 0.0, lambda: 0.0))
    found.failed(found.take(), Broken("x"), 0.0)
    assert found.delay() == FIRST_WAIT / 2
