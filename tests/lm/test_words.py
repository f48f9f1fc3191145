import pytest

from lm.words import abstains, content_words, words


def test_words_have_one_spelling():
    assert words("The  Mayor’s 1,200,000 CAFÉS, cafe\u0301s") == ["the", "mayor", "1200000", "cafés", "cafés"]
    assert words("don’t stop 3,14") == ["don't", "stop", "3", "14"]


def test_words_without_meaning_and_a_choices_letter_do_not_count():
    assert content_words("It is what I don't know. Yes!") == content_words("(B)") == set()
    assert content_words("Vitamin C") == {"vitamin", "c"}
    assert content_words("7") == {"7"}


def test_each_chinese_character_is_a_word():
    assert content_words("蓝色 glass") == {"蓝", "色", "glass"}


@pytest.mark.parametrize(
    "sentence",
    [
        "I do not know.",
        "I don’t know who chooses the mayor.",
        "The passages do not say how the mayor is chosen.",
        "The passage doesn't explicitly mention blue glass.",
        "The mayor is not mentioned in the passages.",
        "There is no information on the mayor in these passages.",
        "The context provided does not contain the mayor's name.",
    ],
)
def test_it_abstains(sentence):
    assert abstains(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The mayor does not know.",
        "It is not known to many.",
        "The passage to the river is closed.",
        "They do not say no.",
    ],
)
def test_it_claims_something(sentence):
    assert not abstains(sentence)
