import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.view import View
from retriever.index.faiss_index import SearchIndex
from retriever.index.loading import in_memory
from retriever.ranking.propose import Proposer
from tests.vectors import make_store, random_vectors


def opened(root, key="Flat", rows=200, distinct=None):
    vectors = random_vectors(0, rows, distinct=distinct)
    store = make_store(root, np.arange(rows), vectors, key, per_shard=30)
    return store, in_memory(root, store.manifest), vectors.astype(np.float32)


@settings(max_examples=25)
@given(want=st.integers(1, 60), fraction=st.floats(0.05, 1.0), distinct=st.sampled_from([None, 4, 25]))
def test_candidates_are_the_best_rows_and_all_that_tie_with_the_last(
    tmp_path_factory, want, fraction, distinct
):
    store, index, _ = opened(tmp_path_factory.mktemp("propose"), distinct=distinct)
    queries = np.random.default_rng(1).standard_normal((3, 8)).astype(np.float32)
    view = View(fraction, 1)
    (found,) = Proposer(store, index).propose(index.assign(queries), [view], want)
    kept = np.flatnonzero(store.mask(view))
    _, order = index.search(index.assign(queries), store.rows)
    scores, _ = index.search(index.assign(queries), store.rows)
    for query in range(3):
        mine = found.rows[query] >= 0
        rows = found.rows[query, mine].tolist()
        value = dict(zip(order[query].tolist(), scores[query].tolist(), strict=True))
        ranked = sorted((value[row] for row in kept.tolist()), reverse=True)
        bound = ranked[want - 1] if len(ranked) >= want else -np.inf
        assert rows == [row for row in kept.tolist() if value[row] >= bound]
        assert found.scores[query, mine].tolist() == [value[row] for row in rows]


def test_a_curve_searches_its_views_together_and_the_sparsest_inside_the_search(tmp_path, monkeypatch):
    """Law 3: one search for all views that it is deep enough for, one with a selector for each other."""
    store, index, vectors = opened(tmp_path, rows=2000)
    calls = []
    search = SearchIndex.search

    def counted(self, queries, k, among=None):
        calls.append((k, among is not None))
        return search(self, queries, k, among)

    monkeypatch.setattr(SearchIndex, "search", counted)
    views = [View(f, s) for f in (0.01, 0.3, 0.6, 1.0) for s in range(2)]
    Proposer(store, index).propose(index.assign(vectors[:20]), views, 40)
    assert [selected for _, selected in calls] == [False, True, True]


def test_selectors_are_kept_for_the_next_search_and_not_for_ever(tmp_path, monkeypatch):
    store, index, vectors = opened(tmp_path)
    monkeypatch.setattr("retriever.ranking.propose._SELECTED_BEYOND", 0)
    monkeypatch.setattr("retriever.ranking.propose._SELECTORS", 2)
    proposer, asked = Proposer(store, index), index.assign(vectors[:2])
    looked = []
    mask = type(store).mask
    monkeypatch.setattr(type(store), "mask", lambda self, view: looked.append(view) or mask(self, view))
    views = [View(0.5, seed) for seed in range(3)]
    for view in (views[0], views[0], views[1], views[2], views[0]):
        proposer.propose(asked, [view], 60)
    assert looked == [views[0], views[1], views[2], views[0]]


@pytest.mark.parametrize("want", [1, 7, 200])
def test_no_view_and_a_view_of_everything_are_the_same(tmp_path, want):
    store, index, vectors = opened(tmp_path, "IVF4,SQ8")
    proposer, asked = Proposer(store, index), index.assign(vectors[:5], 2)
    (plain,) = proposer.propose(asked, [View()], want)
    (unscored,) = proposer.propose(asked, [View()], want, scored=False)
    assert np.array_equal(plain.rows, unscored.rows)
    both = proposer.propose(asked, [View(), View(domains=("a", "b", "c"))], want)
    for other in both:
        for one, its in zip(plain.rows, other.rows, strict=True):
            assert one[one >= 0].tolist() == its[its >= 0].tolist()
        assert np.array_equal(plain.scores[plain.rows >= 0], other.scores[other.rows >= 0])
