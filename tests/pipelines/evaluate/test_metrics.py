import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Passage
from pipelines.evaluate.metrics import (
    CONTAINMENT,
    READER,
    RETRIEVAL,
    SUCCESS,
    confidence,
    contains,
    exact_match,
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


def test_the_interval_covers_the_mean_and_shrinks_with_n():
    random = np.random.default_rng(0)
    few, many = (random.random(n) < 0.3 for n in (100, 10_000))
    (a, b), (c, d) = confidence(few.astype(float)), confidence(many.astype(float))
    assert a <= few.mean() <= b
    assert c <= many.mean() <= d
    assert d - c < (b - a) / 5
    # The normal approximation says 2 · 1.96 · sqrt(p(1-p)/n).
    assert abs((d - c) - 2 * 1.96 * (0.21 / 10_000) ** 0.5) < 0.002
    assert all(np.isnan(confidence(np.array([]))))


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
    assert headings[-2:] == ["reader exact match", "reader containment"]
    assert len(set(headings)) == len(headings)
