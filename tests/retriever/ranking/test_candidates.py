import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retriever.ranking.candidates import Candidates, Ranked, by_codes

ROWS = st.dictionaries(st.integers(0, 50), st.sampled_from([0.0, 0.5, 1.0, -2.0]), max_size=12)


@given(st.lists(ROWS, min_size=1, max_size=5), st.integers(1, 15), st.integers(0, 1000))
def test_the_best_candidates_come_first_and_of_equal_ones_the_lower_row(queries, k, by):
    pairs = [sorted(one.items()) for one in queries]
    rows = np.array([row for one in pairs for row, _ in one], np.int64)
    scores = np.array([score for one in pairs for _, score in one], np.float32)
    found = Candidates.of(np.array([len(one) for one in pairs]), rows, scores).shifted(by)
    ranked = by_codes(found, k)
    assert ranked.rows.shape == ranked.scores.shape == (len(queries), k)
    for mine, its_rows, its_scores in zip(pairs, ranked.rows, ranked.scores, strict=True):
        expected = sorted((-score, row + by) for row, score in mine)[:k]
        shown = len(expected)
        assert list(zip((-its_scores[:shown]).tolist(), its_rows[:shown].tolist(), strict=True)) == expected
        assert (its_rows[shown:] == -1).all()
        assert np.isneginf(its_scores[shown:]).all()


def test_rankings_of_later_queries_stand_behind_those_of_earlier_ones():
    one, other = (Ranked(np.full((n, 2), n), np.full((n, 2), float(n), np.float32)) for n in (1, 2))
    assert Ranked.of([one, other]).rows.tolist() == [[1, 1], [2, 2], [2, 2]]
