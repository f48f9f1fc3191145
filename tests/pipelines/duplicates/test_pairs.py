from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.duplicates import pairs as pairs_module
from pipelines.duplicates.pairs import distinct, forest, sharing


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=60, unique=True))
def test_documents_that_share_a_key_are_joined(items):
    keys = np.array([key for key, _ in items], np.uint64)
    documents = np.array([document for _, document in items], np.int64)
    pairs = [tuple(pair) for pair in sharing(keys, documents).tolist()]
    assert pairs == sorted(set(pairs))
    groups = [{d for k, d in items if k == key} for key in range(4)]
    for later, earlier in pairs:
        assert later > earlier
        assert any({later, earlier} <= group for group in groups)
    joined = {frozenset(pair) for pair in pairs}
    for group in groups:
        if len(group) <= pairs_module._NEIGHBOURS + 1:
            assert all(frozenset(pair) in joined for pair in combinations(group, 2))
        else:
            assert all(frozenset((min(group), member)) in joined for member in group - {min(group)})


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] > pair[1])))
def test_clusters_keep_their_first_document(edges):
    """Against joining by hand; which pairs join them changes nothing."""
    roots = {n: n for n in range(10)}
    for _ in range(10):
        for later, earlier in edges:
            roots[later] = roots[earlier] = min(roots[later], roots[earlier])
    found = forest(np.array(edges, np.int64).reshape(-1, 2))
    assert found.tolist() == [[n, root] for n, root in sorted(roots.items()) if n != root]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3))))
def test_pairs_ascend_each_once(some):
    found = distinct(np.array(some, np.int64).reshape(-1, 2))
    assert [tuple(pair) for pair in found.tolist()] == sorted(set(some))
