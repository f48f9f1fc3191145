"""Laws of strides: the same budget with passages and without, and nothing but the text before a stride."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from pipelines.evaluate.perplexity.strides import NOTHING, Front, Pace, steps

START = -1
LENGTHS = st.integers(0, 60)


@st.composite
def paces(draw) -> Pace:
    window = draw(st.integers(4, 40))
    return Pace(window, draw(st.integers(1, window - 3)), draw(st.integers(1, 50)))


@given(paces(), LENGTHS, st.lists(st.integers(1, 30), max_size=5))
def test_a_window_holds_as_many_tokens_with_passages_as_without(pace, length, sizes):
    blocks = [(1000 + number,) * size for number, size in enumerate(sizes)]
    front = Front.of(blocks, pace.front)
    assert len(front.ids) <= pace.front
    for step in steps(range(length), pace):
        alone, beside = step.row(pace, START, NOTHING), step.row(pace, START, front)
        for row in (alone, beside):
            assert len(row.context) + len(row.text) <= pace.window
            assert row.context[0] == START
        # All the room that there is, is used.
        assert len(alone.context) == min(pace.window - len(alone.text), 1 + step.done)
        assert len(beside.context) == min(pace.window - len(alone.text), 1 + len(front.ids) + step.done)
        assert alone.text == beside.text
        # Passages take the place of the oldest text: what stands next to the stride is the same.
        recent = beside.context[1 + len(front.ids) :]
        assert recent == alone.context[len(alone.context) - len(recent) :]
        assert beside.context[1 : 1 + len(front.ids)] == front.ids


@given(paces(), LENGTHS)
def test_each_token_is_scored_once_and_searched_for_by_those_before_it_alone(pace, length):
    found = list(steps(range(length), pace))
    assert [token for one in found for token in one.row(pace, START, NOTHING).text] == list(range(length))
    for one in found:
        query = one.query(pace)
        assert query == tuple(range(max(0, one.done - pace.query), one.done))
        assert not set(query) & set(one.row(pace, START, NOTHING).text)


@given(paces(), LENGTHS, st.lists(st.integers(1, 30), max_size=5), st.integers(1, 20))
def test_where_passages_are_added_the_text_before_a_stride_is_the_same(pace, length, sizes, added):
    pace = replace(pace, added=added)
    front = Front.of([(1000 + number,) * size for number, size in enumerate(sizes)], pace.front)
    assert len(front.ids) <= added
    found = list(steps(range(length), pace))
    # What has no text before it is not scored.
    scored = [token for one in found for token in one.row(pace, START, NOTHING).text]
    assert scored == list(range(pace.stride, length))
    for one in found:
        alone, beside = one.row(pace, START, NOTHING), one.row(pace, START, front)
        assert beside.context == (START, *front.ids, *alone.context[1:])
        assert alone.context[1:] == tuple(range(max(0, one.end - pace.window), one.done))


def test_the_best_passage_stands_next_to_the_text_and_is_cut_if_it_must():
    assert Front.of([(1, 1), (2, 2), (3, 3)], 5) == Front((2, 2, 1, 1), 2)
    assert Front.of([(1,) * 9, (2,)], 5) == Front((1,) * 5, 1)
    assert Front.of([], 5) == NOTHING


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [((10, 9, 5), "leaves no room for a passage"), ((10, 5, 0), "at least 1 token of the text before")],
)
def test_strides_without_room_or_query_are_refused(numbers, sentence):
    with pytest.raises(RalmError, match=sentence):
        Pace(*numbers)
