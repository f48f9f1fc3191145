"""What is kept within some bytes."""

import gc
from weakref import ref

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


def test_owners_in_turn_find_their_own_and_not_each_others():
    kept, one, other = KeptOf(10, size), Owner(), Owner()
    kept.of(one).put("a", 1)
    assert kept.of(other).get("a") is None
    kept.of(other).put("a", 2)
    assert (kept.of(one).get("a"), kept.of(other).get("a")) == (1, 2)
    assert (kept.lookups.hits, kept.lookups.misses, kept.bytes) == (2, 1, 3)


def test_owners_share_the_room():
    kept, one, other = KeptOf(3, size), Owner(), Owner()
    kept.of(one).put("a", 2)
    kept.of(other).put("b", 2)
    assert (kept.of(one).get("a"), kept.of(other).get("b"), kept.bytes) == (None, 2, 2)


def test_of_an_owner_that_is_gone_nothing_is_kept_however_late_it_was_put():
    kept, one, other = KeptOf(10, size), Owner(), Owner()
    gone = ref(one)
    kept.of(other).put("b", 1)
    late = kept.of(one)
    late.put("a", 3)
    del one
    kept.of(other)  # Who has begun for the one before goes on.
    late.put("c", 3)
    assert kept.bytes == 7
    del late
    gc.collect()
    assert gone() is None
    assert kept.of(other).get("b") == 1
    assert kept.bytes == 1


def test_what_is_forgotten_leaves_its_room():
    kept = Kept(10, size)
    for at, key in enumerate("abc", 1):
        kept.put(key, at)
    kept.forget(lambda key: key in "ac")
    assert (kept.bytes, len(kept), kept.get("b")) == (2, 1, 2)
