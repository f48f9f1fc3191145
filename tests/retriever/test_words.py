import pytest

from retriever.words import containment, jaccard, ngrams, words


def test_words_and_ngrams():
    assert words("Don't stop, Zoë!") == ["don", "t", "stop", "zoë"]
    assert ngrams(["a", "b", "c"], 2) == {("a", "b"), ("b", "c")}
    assert ngrams(["a"], 5) == {("a",)}
    assert ngrams([], 5) == set()


def test_likeness_is_of_both_and_containment_of_one():
    assert jaccard({1, 2, 3}, {2, 3, 4, 5}) == pytest.approx(2 / 5)
    assert jaccard(set(), set()) == 0.0
    asked, held = "abcd", "xxabcyybcdxx"
    assert containment(asked, held, 3) == 1.0
    assert containment(asked, "xxabcyy", 3) == 0.5
    assert containment(held, asked, 3) < 0.5


def test_a_text_of_few_words_is_one_n_gram():
    assert containment("abc", "xxabcxx", 8) == 1.0
    assert containment("abc", "xxabxcxx", 8) == 0.0
    assert containment("abc", "ab", 8) == 0.0
    assert containment("", "ab", 8) == 0.0
