import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Passage
from pipelines.evaluate.metrics import (
    CONTAINMENT,
    READER,
    RETRIEVAL,
    SUCCESS,
    abstention,
    contains,
    exact_match,
    f1,
    normalize,
    success,
)
from pipelines.questions import Question


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


@given(st.lists(st.booleans()), st.integers(0, 20))
def test_the_first_k_succeed_from_the_rank_of_the_first_that_is_right(right, k):
    rank = right.index(True) + 1 if True in right else None
    assert success(right[:k]) == (rank is not None and rank <= k)


def test_a_passage_is_right_by_its_document_or_by_what_it_holds():
    question = Question("q", "Where?", ("Paris",), frozenset({"gold"}))
    gold, holds = (
        Passage(text, "", id, 0, 0) for id, text in (("gold", "It is here."), ("other", "It is in Paris."))
    )
    assert [SUCCESS.right(question, one) for one in (gold, holds)] == [True, False]
    assert [CONTAINMENT.right(question, one) for one in (gold, holds)] == [False, True]
    assert SUCCESS.needs(question)
    assert not SUCCESS.needs(Question("q", "Where?", ("Paris",), frozenset()))
    assert not CONTAINMENT.needs(Question("q", "Where?", (), frozenset({"gold"})))


def test_no_two_metrics_share_a_column():
    headings = [one.heading(k) for one in RETRIEVAL for k in one.depths] + [one.heading(3) for one in READER]
    assert headings[:3] == ["success@1", "success@5", "success@20"]
    assert headings[6:] == ["reader exact match", "reader containment", "reader F1", "reader abstention"]
    assert len(set(headings)) == len(headings)
