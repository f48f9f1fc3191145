import random
import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.metrics.texts import abstention, contains, exact_match, f1, normalize


@pytest.mark.parametrize(
    ("text", "normal"),
    [("The  Eiffel Tower!", "eiffel tower"), ("a b-c", "bc"), ("U.S.A.", "usa"), ("the", "")],
)
def test_normal_form_is_squads(text, normal):
    assert normalize(text) == normal


def test_answers_match_whole_words_only():
    assert exact_match("The Paris.", ["paris", "rome"])
    assert not exact_match("In Paris", ["paris"])
    assert contains("It is in Paris, France.", ["paris"])
    assert not contains("It is a comparison.", ["paris"])
    assert not contains("Anything", ["the"])


@given(st.text(max_size=30), st.text(max_size=10))
def test_a_text_contains_what_it_matches(text, answer):
    if normalize(answer) and exact_match(text, [answer]):
        assert contains(text, [answer])


@pytest.mark.parametrize(
    ("answer", "expected", "score"),
    [
        ("The Paris.", ["paris"], 1.0),
        # Two of three words are expected, and all that is expected is there: 2 · (2/3) · 1 / (2/3 + 1).
        ("in New York", ["New York"], 0.8),
        ("in New York", ["London", "New York"], 0.8),
        ("York York", ["York"], 2 / 3),
        ("London", ["Paris"], 0.0),
        ("", ["Paris"], 0.0),
        ("Paris", [], 0.0),
        ("the", ["a"], 1.0),
    ],
)
def test_f1_is_squads(answer, expected, score):
    assert f1(answer, expected) == pytest.approx(score)


_SOME_WORDS = st.lists(st.sampled_from(["ansel", "mirn", "bridge", "old", "the", "1412"]), max_size=6)


@given(_SOME_WORDS, st.lists(_SOME_WORDS, max_size=3))
def test_f1_is_1_for_the_same_words_and_0_without_any_in_common(words, expected):
    answer, texts = " ".join(words), [" ".join(one) for one in expected]
    bags = [sorted(normalize(one).split()) for one in texts]
    mine = sorted(normalize(answer).split())
    assert 0 <= f1(answer, texts) <= 1
    assert (f1(answer, texts) == 1) == (mine in bags)
    assert (f1(answer, texts) == 0) == (mine not in bags and not any(set(mine) & set(bag) for bag in bags))
    assert f1(answer, texts) >= exact_match(answer, texts)


@given(_SOME_WORDS, _SOME_WORDS)
def test_f1_knows_no_order_and_takes_answer_and_expected_alike(words, expected):
    found = f1(" ".join(words), [" ".join(expected)])
    assert f1(" ".join(reversed(words)), [" ".join(expected)]) == found
    assert f1(" ".join(expected), [" ".join(words)]) == pytest.approx(found)


def test_abstention_does_not_ask_what_is_expected():
    assert abstention("I do not know.", ["I do not know."])
    assert not abstention("Paris", [])


def official(text: str) -> list[str]:
    """The words that SQuAD's script compares, by its rule: lower case, punctuation, articles, white space."""
    kept = "".join(sign for sign in text.lower() if sign not in frozenset(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def official_f1(answer: str, expected: str) -> float:
    ours, theirs = official(answer), official(expected)
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum(min(count, Counter(theirs)[word]) for word, count in Counter(ours).items())
    if not common:
        return 0.0
    precision, recall = common / len(ours), common / len(theirs)
    return 2 * precision * recall / (precision + recall)


_PIECES = (
    *(
        "the",
        "The",
        "a",
        "An",
        "theatre",
        "Anne",
        "U.S.A.",
        "rock-'n'-roll",
        "“Paris”",
        "Paris",
        "paris",
        "1,412",
    ),
    *("’s", "'s", "Zürich", "ZÜRICH", "na\u00a0na", "—", "-", "...", "\t", "the.", "a-b", "東京", "$5", "5"),
)


def test_1000_pairs_score_as_by_the_official_script():
    draw = random.Random(22)
    pairs = [
        tuple(draw.choice(("", " ", " ")).join(draw.choices(_PIECES, k=draw.randint(0, 5))) for _ in range(2))
        for _ in range(1000)
    ]
    for answer, expected in pairs:
        assert normalize(answer) == " ".join(official(answer))
        assert exact_match(answer, [expected]) == (official(answer) == official(expected))
        assert f1(answer, [expected]) == pytest.approx(official_f1(answer, expected))
    assert 20 < sum(exact_match(answer, [expected]) for answer, expected in pairs) < 980
    assert sum(0 < f1(answer, [expected]) < 1 for answer, expected in pairs) > 50
