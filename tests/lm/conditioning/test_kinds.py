import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.conditioning import Conditioning, Request, Source, conversation
from lm.conditioning.kinds import KINDS, Alone, Prepend, Replug, softmax
from lm.prompts import Ensemble, prompts_of
from tests.lm.conditioning.texts import count, sources

ASKED = Request("Why?")
TWO = [Source("A", "It is so.", 0.9), Source("", "It is not.", 0.7)]


def test_alone_reads_nothing():
    found = Alone(Conditioning("none")).write(ASKED, TWO, count, 100)
    assert (found.asked, found.packed, found.trimmed) == (conversation("Why?", []), (), 0)


def test_prepend_puts_all_that_fit_into_one_prompt():
    found = Prepend(Conditioning()).write(ASKED, TWO, count, 100)
    assert found.packed == ("[1] A: It is so.", "[2] It is not.")
    assert found.asked == conversation("Why?", found.packed)
    assert (found.tokens, found.trimmed) == (9, 0)
    cut = Prepend(Conditioning()).write(ASKED, TWO, count, 6)
    assert (cut.packed, cut.trimmed) == (("[1] A: It is so.",), 1)


def test_replug_weighs_a_prompt_of_each_passage_by_its_score():
    found = Replug(Conditioning("replug", replug_temperature=0.2)).write(ASKED, TWO, count, 100)
    assert isinstance(found.asked, Ensemble)
    assert found.asked.prompts == (
        conversation("Why?", ["[1] A: It is so."]),
        conversation("Why?", ["[1] It is not."]),
    )
    # e^(0.9 / 0.2) : e^(0.7 / 0.2) is e : 1.
    assert found.asked.weights == pytest.approx((math.e / (math.e + 1), 1 / (math.e + 1)))
    assert found.packed == ("[1] A: It is so.", "[2] It is not.")
    assert (found.tokens, found.trimmed) == (5, 0)


def test_replug_leaves_out_what_has_no_room_and_without_any_is_alone():
    some = [Source("", "One two three four five six.", 0.9), Source("", " ", 0.8), Source("", "It is.", 0.1)]
    found = Replug(Conditioning("replug")).write(ASKED, some, count, 4)
    assert (found.packed, found.blocks[0].rank, found.trimmed) == (("[1] It is.",), 2, 1)
    assert found.asked.weights == (1.0,)
    nothing = Replug(Conditioning("replug")).write(ASKED, some[:2], count, 4)
    assert (nothing.asked, nothing.blocks, nothing.trimmed) == (conversation("Why?", []), (), 1)


@given(
    st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8),
    st.floats(1e-3, 1e3),
)
def test_weights_are_positive_sum_to_one_and_go_by_the_scores(scores, temperature):
    weights = softmax(scores, temperature)
    assert min(weights) > 0
    assert math.fsum(weights) == pytest.approx(1)
    order = sorted(range(len(scores)), key=scores.__getitem__)
    assert [weights[at] for at in order] == sorted(weights)


@given(sources, st.integers(0, 40), st.sampled_from(sorted(KINDS)), st.sampled_from(["chat", "few-shot"]))
def test_every_kind_keeps_the_budget_and_the_whole_question(found, budget, kind, prompt):
    how = Conditioning(kind, prompt=prompt)
    written = KINDS[kind](how).write(Request("Why is  it so?\n"), found, count, budget)
    assert written.tokens <= budget
    for one in prompts_of(written.asked):
        text = one.text or one.conversation[-1].content
        assert "Why is  it so?\n" in text
        assert bool(one.passages) == bool(written.blocks)
    held = sum(bool(source.text.strip()) for source in found)
    whole = sum(block.whole for block in written.blocks)
    assert written.trimmed == (0 if kind == "none" else held - whole)
    assert [block.number for block in written.blocks] == list(range(1, len(written.blocks) + 1))
