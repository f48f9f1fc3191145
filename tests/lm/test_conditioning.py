from hypothesis import given
from hypothesis import strategies as st

from lm.conditioning import ALONE, WITH_PASSAGES, Source, conversation, pack
from lm.prompts import Message


def count(text: str) -> int:
    return len(text.split())


sources = st.lists(st.builds(Source, st.text("ab ", max_size=8), st.text("xyz ", min_size=1, max_size=60)))


@given(sources, st.integers(0, 60))
def test_what_is_packed_fits_and_is_the_beginning(found, budget):
    packed = pack(found, count, budget)
    assert sum(map(count, packed)) <= budget
    assert len(packed) <= len(found)
    for number, block in enumerate(packed, 1):
        assert block.startswith(f"[{number}]"[: len(block)])


def test_a_first_passage_beyond_the_budget_is_cut_not_lost():
    (block,) = pack([Source("", "one two three four five"), Source("", "six")], count, 4)
    assert block == "[1] one two three"


def test_titles_stand_before_their_text():
    assert pack([Source("Town", "It lies low.")], count, 10) == ["[1] Town: It lies low."]


def test_the_best_passage_stands_next_to_the_question_and_alone_it_comes_bare():
    read = conversation("Why?", ["[1] a", "[2] b"], [Message("user", "Hello")])
    assert [turn.role for turn in read.conversation] == ["system", "user", "user"]
    assert read.conversation[0].content == WITH_PASSAGES
    assert read.conversation[-1].content == "[2] b\n\n[1] a\n\nQuestion: Why?"
    assert read.passages == 2
    alone = conversation("Why?", [])
    assert alone.conversation == (Message("system", ALONE), Message("user", "Why?"))
    assert alone.passages == 0
