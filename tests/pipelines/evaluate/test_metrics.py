import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.metrics import confidence, contains, exact_match, first_rank, normalize


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


def test_ranks_count_from_one():
    assert first_rank([False, True, True]) == 2
    assert first_rank([False]) == first_rank([]) == 0
