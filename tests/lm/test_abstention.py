import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.abstention import abstains

_SAY_SO = [
    "I do not know.",
    "I don't know",
    "i dont know the answer to that.",
    "Don't know.",
    "We really don't know who built it.",
    "You do not know.",
    "I’m sorry, but I don’t know the answer.",
    '"I do not know."',
    "Answer: I do not know.",
    "Unfortunately, I do not know, perhaps Paris.",
    "Based on the passages, I do not know.",
    "I'm not sure.",
    "I am unable to answer this question.",
    "I cannot find it.",
    "Not stated.",
    "Not mentioned in the passages.",
    "It is not explicitly stated.",
    "The name of the river is not mentioned in the passages.",
    "The year of the siege was not given in the provided text, so nobody can tell.",
    "The passages do not say when it was built.",
    "The given passage doesn't explicitly mention a bridge.",
    "According to the passages, they do not say that.",
    "None of the passages mentions it.",
    "There is no information about it.",
    "No answer is given.",
]
_ANSWER = [
    "",
    "Paris",
    "The river Know",
    "He did not know how to swim.",
    "They do not know what became of him.",
    "I Don't Know How to Love Him",
    "No",
    "No, it was not.",
    "No. 1",
    "Nobody knows.",
    "The cause is not known.",
    "The Unknown Soldier",
    "Not until 1918",
    "Notre Dame",
    "The king did not say a word.",
    "It was not found until 1912.",
    "Paris. I do not know more.",
    "Paris, which is not mentioned in the passages.",
    "The sources of the Nile",
    "Those who say that they do not know",
    "Information theory",
]


@pytest.mark.parametrize("answer", _SAY_SO)
def test_an_answer_that_says_that_it_does_not_know(answer):
    assert abstains(answer)


@pytest.mark.parametrize("answer", _ANSWER)
def test_an_answer_that_says_something(answer):
    assert not abstains(answer)


@given(st.sampled_from([*_SAY_SO, *_ANSWER]), st.sampled_from(["lower", "upper", "title"]))
def test_neither_case_nor_space_nor_the_apostrophe_matters(answer, case):
    written = getattr(answer, case)() if case != "title" else answer.capitalize()
    assert abstains(written.replace(" ", " \t").replace("'", "’") + "\n") == abstains(answer)


@given(st.sampled_from(_SAY_SO), st.text())
def test_what_is_said_behind_an_abstention_does_not_take_it_back(answer, rest):
    assert abstains(f"{answer.rstrip('.')}. {rest}")


@given(st.sampled_from(["Paris", "In 1918", "The king did not say a word", "No"]), st.text())
def test_what_is_said_behind_an_answer_makes_it_no_abstention(answer, rest):
    assert not abstains(f"{answer}. {rest}")


_WORDS = (
    "the passages do say it is in Paris I know of what stated mentioned by a king 1918 , . ' sure can find"
)


@given(st.lists(st.sampled_from(_WORDS.split())))
def test_without_a_denial_there_is_no_abstention(words):
    assert not abstains(" ".join(words))
