"""What is kept within some bytes."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from serve.queues.kept import Kept, KeptOf


def size(key: str, value: int) -> int:
    return value


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 12))), st.integers(0, 20))
def test_the_last_used_are_kept_as_far_as_the_bytes_reach(puts, most):
    kept, order = Kept(most, size), list[tuple[str, int]]()
    for key, value in puts:
        kept.put(key, value)
        if value <= most:
            order = [one for one in order if one[0] != key] + [(key, value)]
            while sum(value for _, value in order) > most:
                order.pop(0)
        assert kept.bytes == sum(value for _, value in order) <= most
        assert len(kept) == len(order)
    assert [kept.get(key) for key, _ in order] == [value for _, value in order]


def test_what_is_asked_for_stays_longer_than_what_is_not():
    kept = Kept(2, size)
    kept.put("a", 1)
    kept.put("b", 1)
    assert kept.get("a") == 1
    kept.put("c", 1)
    assert [kept.get(key) for key in "abc"] == [1, None, 1]


class Owner:
    pass


def test_another_owner_finds_nothing_and_holds_nothing_of_the_one_before():
    kept, one, other = KeptOf(10, size), Owner(), Owner()
    before = kept.of(one)
    before.put("a", 1)
    assert kept.of(one).get("a") == 1
    assert kept.of(other).get("a") is None
    before.put("a", 1)  # By a thread that has not seen the change.
    assert kept.of(other).get("a") is None
    assert (kept.lookups.hits, kept.lookups.misses) == (1, 2)
    kept.of(one)
    del one
    gc.collect()
    assert kept._owner() is None
