from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.ranking.candidates import NO_SCORES, Candidates, by_codes, spread
from retriever.ranking.rescore import Scan, VectorScanner, by_vectors, scores
from tests.vectors import make_store, random_vectors

WIDTH = 384


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """300 rows in shards of 70, a third of them distinct."""
    vectors = random_vectors(0, 300, WIDTH, distinct=100)
    return make_store(tmp_path_factory.mktemp("store"), np.arange(300), vectors, per_shard=70)


def some_queries(count):
    return np.random.default_rng(1).standard_normal((count, WIDTH)).astype(np.float32)


def candidates(*rows):
    counts = np.array([len(mine) for mine in rows])
    return Candidates(
        spread(counts, np.array([row for mine in rows for row in mine], np.int64), -1), NO_SCORES
    )


@given(st.lists(st.sets(st.integers(0, 299), max_size=40), min_size=1, max_size=6), st.integers(1, 30))
def test_each_query_is_scored_against_its_own_vectors(store, chosen, k):
    """Equal scores in row order, fewer than k filled up with -1."""
    queries = some_queries(len(chosen))
    (found,) = by_vectors(store, queries, [candidates(*map(sorted, chosen))], k)
    for query, mine in enumerate(map(sorted, chosen)):
        exact = store.vectors(mine).astype(np.float64) @ queries[query].astype(np.float64)
        shown = min(k, len(mine))
        assert (found.rows[query, shown:] == -1).all()
        assert np.isneginf(found.scores[query, shown:]).all()
        assert found.scores[query, :shown] == pytest.approx(-np.sort(-exact)[:shown], abs=1e-4)
        assert {*found.rows[query, :shown].tolist()} <= {*mine}
        pairs = list(zip((-found.scores[query, :shown]).tolist(), found.rows[query, :shown], strict=True))
        assert pairs == sorted(pairs)


def test_exact_scores_do_not_depend_on_the_company(store):
    queries, rows = some_queries(2), np.arange(300)
    among = scores(store, queries, np.stack([rows, rows[::-1]]))
    for row in (0, 7, 69, 70, 299):
        alone = scores(store, queries[:1], np.array([[-1, row]]))
        assert alone.tolist() == [[-np.inf, among[0, row]]]


def test_scans_of_several_threads_and_widths_do_not_disturb_each_other():
    """Tables of lists grow in each thread on their own; what is left of a longer scan is not looked at."""

    def scans(seed):
        random = np.random.default_rng(seed)
        for _ in range(60):
            width = int(random.choice([8, 16, 32]))
            vectors = random.standard_normal((int(random.integers(1, 400)), width)).astype(np.float16)
            counts = random.integers(0, 1 + len(vectors) // 3, 3)
            rows = random.integers(0, len(vectors), counts.sum())
            queries = random.standard_normal((3, width)).astype(np.float32)
            addresses = spread(counts, vectors.ctypes.data + rows * vectors.strides[0], -1)
            found = Scan(queries, addresses).scores()[addresses >= 0]
            owners = np.repeat(np.arange(3), counts)
            expected = (queries[owners] * vectors[rows].astype(np.float32)).sum(axis=1)
            np.testing.assert_allclose(found, expected, atol=1e-4)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(scans, range(6)))


def test_one_query_with_many_candidates_takes_no_room_for_the_others(store, monkeypatch):
    both = candidates([3, 5], range(300))
    (whole,) = by_vectors(store, some_queries(2), [both], 4)
    monkeypatch.setattr("retriever.ranking.rescore._LISTED", 400)
    scanner = VectorScanner()
    scan = Scan(some_queries(2), store.addresses(both.rows.ravel()).reshape(both.rows.shape), scanner)
    assert len(scanner._lists[WIDTH]) == 302
    assert scan.best(2)[1][0].tolist() in ([0, 1], [1, 0])
    (found,) = by_vectors(store, some_queries(2), [both], 4)
    assert (found.rows == whole.rows).all()
    assert (found.scores == whole.scores).all()


def test_a_vector_scores_the_same_in_one_view_and_in_many(store):
    queries = some_queries(3)
    views = [candidates([1, 5, 9], [], [2, 5]), candidates([5], [0, 299], [2]), candidates([], [], [])]
    together = by_vectors(store, queries, views, 2)
    for view, found in zip(views, together, strict=True):
        (alone,) = by_vectors(store, queries, [view], 2)
        assert (alone.rows == found.rows).all()
        assert (alone.scores == found.scores).all()


def test_a_row_outside_the_store_is_an_error_not_a_read_of_other_memory(store):
    with pytest.raises(IndexError, match="299"):
        scores(store, some_queries(1), np.array([[0, 300]]))
    assert scores(store, some_queries(1), np.array([[-1, -1]])).tolist() == [[-np.inf, -np.inf]]


@given(st.lists(st.sets(st.integers(0, 299), max_size=9), min_size=1, max_size=6), st.randoms())
def test_it_does_not_matter_where_among_candidates_there_are_none(store, chosen, random):
    queries, found = some_queries(len(chosen)), candidates(*map(sorted, chosen))
    width = 12
    scattered = np.full((len(chosen), width), -1)
    for row, mine in zip(scattered, chosen, strict=True):
        row[sorted(random.sample(range(width), len(mine)))] = sorted(mine)
    several = by_vectors(store, queries, [found, Candidates(scattered, NO_SCORES)], 5)
    several += by_vectors(store, queries, [Candidates(scattered, NO_SCORES)], 5)
    for other in several[1:]:
        assert (other.rows == several[0].rows).all()
        assert (other.scores == several[0].scores).all()


def test_codes_scores_rank_where_nothing_is_rescored():
    rows = [[3, 5, -1, 9], [-1, -1, -1, -1], [-1, 1, 2, -1]]
    scores = [[0.5, 0.9, 3, 0.5], [1, 1, 1, 1], [3, 0.1, 0.1, 3]]
    ranked = by_codes(Candidates(np.array(rows), np.array(scores, np.float32)), 2)
    assert ranked.rows.tolist() == [[5, 3], [-1, -1], [1, 2]]
    assert np.isneginf(ranked.scores[1]).all()
