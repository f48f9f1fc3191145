from threading import Event, active_count

import pytest

from base.pulse import every


def test_a_function_is_called_until_all_is_done_and_not_after():
    called, before = [], active_count()
    thrice = Event()

    def call():
        called.append(len(called))
        if len(called) == 3:
            thrice.set()

    with every(0.001, call):
        assert thrice.wait(30)
    assert active_count() == before
    assert called == list(range(len(called)))


def test_what_is_soon_done_calls_nothing():
    called = []
    with every(1e6, lambda: called.append(1)):
        pass
    assert not called


def test_what_fails_ends_the_thread_too():
    before = active_count()
    with pytest.raises(ValueError, match="within"), every(1e6, lambda: None):
        raise ValueError("within")
    assert active_count() == before
