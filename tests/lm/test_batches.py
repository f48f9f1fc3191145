from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from lm.batches import Room, by_length, joining, oldest_first
from lm.pending import Pending
from lm.prompts import Prompt
from lm.reader import Sampling


@dataclass
class Waiting:
    prompt_tokens: int
    kind: bool = False
    width: int = 1
    most: int = 10
    pending: Pending = field(default_factory=lambda: Pending(Prompt(text="x"), Sampling()))

    @property
    def longest(self) -> int:
        return self.prompt_tokens + self.most


requests = st.builds(
    Waiting, st.integers(1, 99), st.booleans(), st.integers(1, 3), st.integers(1, 50), pending=st.none()
)
rooms = st.builds(Room, st.integers(1, 6), st.integers(1, 400))


@given(waiting=st.lists(requests, min_size=1, max_size=12), room=rooms)
def test_a_batch_holds_the_oldest_and_fits_unless_it_is_that_one_alone(waiting, room):
    batch = oldest_first(waiting, room)
    assert batch[0] is waiting[0]
    assert len({one.kind for one in batch}) == 1
    assert len(batch) == 1 or room.holds(batch)


@given(waiting=st.lists(requests, max_size=12), room=rooms)
def test_all_are_read_once_in_batches_by_length(waiting, room):
    batches = list(by_length(waiting, room))
    assert sorted(id(one) for batch in batches for one in batch) == sorted(map(id, waiting))
    assert all(len(batch) == 1 or room.holds(batch) for batch in batches)


def test_the_nearest_in_length_are_read_with_the_oldest():
    waiting = [Waiting(50), Waiting(10), Waiting(52), Waiting(90), Waiting(47)]
    batch = oldest_first(waiting, Room(3, 1000))
    assert [one.prompt_tokens for one in batch] == [50, 52, 47]


def test_padding_counts_as_tokens():
    assert Room(9, 2 * 60).holds([Waiting(50), Waiting(5)])
    assert not Room(9, 2 * 60 - 1).holds([Waiting(50), Waiting(5)])


@given(waiting=st.lists(requests, max_size=8), reading=st.lists(requests, min_size=1, max_size=4), room=rooms)
def test_nobody_joins_before_one_who_came_earlier(waiting, reading, room):
    found = joining(waiting, reading, room)
    assert [id(one) for one in found] == [id(one) for one in waiting[: len(found)]]
    if found:
        assert room.holds([*reading, *found])
        assert {one.kind for one in found} == {reading[0].kind}


def test_one_of_another_kind_holds_up_those_behind_it():
    waiting = [Waiting(5), Waiting(5, kind=True), Waiting(5)]
    assert joining(waiting, [Waiting(9)], Room(9, 1000)) == waiting[:1]
