from lm.words import content_words, words


def test_words_have_one_spelling():
    assert words("The  Mayor’s 1,200,000 CAFÉS, cafe\u0301s") == ["the", "mayor", "1200000", "cafés", "cafés"]
    assert words("don’t stop 3,14") == ["don't", "stop", "3", "14"]


def test_words_without_meaning_and_a_choices_letter_do_not_count():
    assert content_words("It is what I don't know. Yes!") == content_words("(B)") == set()
    assert content_words("Vitamin C") == {"vitamin", "c"}
    assert content_words("7") == {"7"}


def test_each_chinese_character_is_a_word():
    assert content_words("蓝色 glass") == {"蓝", "色", "glass"}
