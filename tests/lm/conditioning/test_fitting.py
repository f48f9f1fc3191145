from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from lm.conditioning import Conditioning, Request, Source, condition
from lm.conditioning.kinds import KINDS
from lm.prompts import Message, Prompt, prompts_of
from tests.lm.conditioning.texts import count, sources


@dataclass
class Words:
    """What holds so many words, with three of its own about each turn."""

    context_tokens: int
    name: str = "Words"

    def count_tokens(self, text: str) -> int:
        return count(text)

    def prompt_tokens(self, prompt: Prompt) -> int:
        return count(prompt.text) + sum(3 + count(turn.content) for turn in prompt.conversation)


@given(sources, st.integers(20, 90), st.integers(1, 60), st.sampled_from(sorted(KINDS)))
def test_a_prompt_fits_with_its_answer_and_says_what_is_trimmed(found, context, budget, kind):
    reader, asked = Words(context), Request("Why is it so?", answer_tokens=2)
    how = Conditioning(kind, 6, budget)
    written = condition(how, asked, found, reader)
    for prompt in prompts_of(written.asked):
        assert reader.prompt_tokens(prompt) + 2 <= context
        assert prompt.conversation[-1].content.endswith("Why is it so?")
    ample = condition(how, asked, found, Words(10_000))
    assert written.trimmed >= ample.trimmed
    if ample.tokens == written.tokens:
        assert written == ample


def test_passages_give_way_to_history_and_answer():
    found = [Source("", "One it is."), Source("", "Two it is. Three it is.")]
    asked = Request("Why?", (Message("user", "Hello you"),), 5)
    whole = condition(Conditioning(), asked, found, Words(1000))
    needed = Words(0).prompt_tokens(whole.asked) + 5
    assert condition(Conditioning(), asked, found, Words(needed)) == whole
    less = condition(Conditioning(), asked, found, Words(needed - 1))
    assert (less.packed, less.trimmed) == (("[1] One it is.", "[2] Two it is."), 1)
    least = condition(Conditioning(), asked, found, Words(needed - 7))
    assert (least.packed, least.trimmed) == (("[1] One it is.",), 1)
    none = condition(Conditioning(), asked, found, Words(needed - 8))
    assert (none.packed, none.trimmed, none.asked.passages) == ((), 2, 0)


@pytest.mark.parametrize("prompt", ["chat", "few-shot"])
def test_a_question_that_is_too_long_alone_is_an_error_with_figures(prompt):
    asked = Request("Why? " * 200, (), 64)
    with pytest.raises(RalmError, match=r"takes \d+ tokens and its answer may take 64, but Words holds 230"):
        condition(Conditioning(prompt=prompt), asked, [], Words(230))


def test_only_as_many_passages_as_are_asked_for_are_read():
    found = [Source("", f"{n} it is.") for n in range(5)]
    assert len(condition(Conditioning(passages=2), Request("Why?"), found, Words(1000)).blocks) == 2
    nothing = condition(Conditioning(passages=0), Request("Why?"), found, Words(1000))
    assert (nothing.blocks, nothing.trimmed) == ((), 0)
