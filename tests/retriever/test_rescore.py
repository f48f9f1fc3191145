import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever.propose import Candidates
from retriever.rescore import by_codes, by_vectors, score
from tests.given import make_store, random_vectors


@given(st.integers(0, 10**6), st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 30))
def test_each_query_is_scored_against_its_own_vectors(seed, counts, k):
    """Equal scores in row order, whichever of them FAISS would have kept."""
    random = np.random.default_rng(seed)
    queries = random.standard_normal((len(counts), 16)).astype(np.float32)
    vectors = (
        random_vectors(seed, sum(counts), 16, distinct=max(1, sum(counts) // 3)) if sum(counts) else None
    )
    if vectors is None:
        vectors = np.empty((0, 16), np.float16)
    rows = np.concatenate([np.sort(random.choice(1000, n, replace=False)) for n in counts]).astype(np.int64)
    found = score(queries, np.array(counts), rows, vectors, k)
    at = 0
    for query, count in enumerate(counts):
        mine = slice(at, at + count)
        exact = vectors[mine].astype(np.float64) @ queries[query].astype(np.float64)
        shown = min(k, count)
        assert (found.rows[query, shown:] == -1).all()
        assert np.isneginf(found.scores[query, shown:]).all()
        assert found.scores[query, :shown] == pytest.approx(-np.sort(-exact)[:shown], abs=1e-4)
        pairs = list(zip((-found.scores[query, :shown]).tolist(), found.rows[query, :shown], strict=True))
        assert pairs == sorted(pairs)
        at += count


def test_exact_scores_do_not_depend_on_the_company():
    vectors = random_vectors(0, 300, 384)
    queries = np.random.default_rng(1).standard_normal((2, 384)).astype(np.float32)
    alone = score(queries[:1], np.array([1]), np.array([7]), vectors[7:8], 1)
    among = score(queries, np.array([300, 300]), np.tile(np.arange(300), 2), np.tile(vectors, (2, 1)), 300)
    assert among.scores[0][among.rows[0] == 7] == alone.scores[0]


def test_one_query_alone_is_scored_as_among_others():
    vectors = random_vectors(0, 60, 384, distinct=20)
    queries = np.random.default_rng(1).standard_normal((2, 384)).astype(np.float32)
    rows = np.arange(60)
    alone = score(queries[:1], np.array([60]), rows, vectors, 25)
    among = score(queries, np.array([60, 60]), np.tile(rows, 2), np.tile(vectors, (2, 1)), 25)
    assert (alone.rows[0] == among.rows[0]).all()
    assert (alone.scores[0] == among.scores[0]).all()


def test_many_candidates_are_read_block_by_block(tmp_path, monkeypatch):
    vectors = random_vectors(0, 200)
    store = make_store(tmp_path, np.arange(200), vectors, per_shard=30)
    queries = np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)
    found = Candidates(np.tile(np.arange(200), 5), np.zeros(1000, np.float32), np.full(5, 200))
    (whole,) = by_vectors(store, queries, [found], 7)
    for room in (250, 450, 1):
        monkeypatch.setattr("retriever.rescore._GATHER_BYTES", room * 16)
        for blocks in by_vectors(store, queries, [found, found], 7):
            assert (whole.rows == blocks.rows).all()
            assert (whole.scores == blocks.scores).all()
    assert (whole.rows == np.argsort(-(queries @ vectors.astype(np.float32).T), axis=1)[:, :7]).all()


def test_codes_scores_rank_where_nothing_is_rescored():
    found = Candidates(
        np.array([3, 5, 9, 1, 2]), np.array([0.5, 0.9, 0.5, 0.1, 0.1], np.float32), np.array([3, 0, 2])
    )
    ranked = by_codes(found, 2)
    assert ranked.rows.tolist() == [[5, 3], [-1, -1], [1, 2]]
