import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pipelines.evaluate.metrics import confidence
from pipelines.evaluate.paired import clusters_of, difference

_DOCUMENTS = st.lists(st.sets(st.sampled_from("abcdefgh"), max_size=3), max_size=20)


@given(_DOCUMENTS)
def test_questions_that_share_a_document_by_way_of_others_are_one_cluster(documents):
    shared = np.array([[bool(one & other) for other in documents] for one in documents], bool)
    _, parts = connected_components(csr_array(shared)) if documents else (0, [])
    found = clusters_of(documents).tolist()
    # The same parts, by whatever number.
    assert len(set(zip(found, parts, strict=True))) == len(set(found)) == len(set(parts))


def test_clusters_are_numbered_from_0():
    assert clusters_of([["x"], [], ["y", "z"], ["z"], [], ["x", "q"]]).tolist() == [0, 1, 2, 2, 3, 0]
    assert clusters_of([]).tolist() == []


_ANSWERED = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=40)


@given(_ANSWERED)
def test_a_difference_turns_its_sign_with_the_sides(answered):
    ours, theirs, clusters = (np.array(one, float) for one in zip(*answered, strict=True))
    gain, loss = difference(ours, theirs, clusters), difference(theirs, ours, clusters)
    assert gain.value == pytest.approx(ours.mean() - theirs.mean())
    assert (gain.value, gain.low, gain.high) == pytest.approx((-loss.value, -loss.high, -loss.low))
    assert gain.low - 1e-9 <= gain.value <= gain.high + 1e-9 or len(set(clusters)) < 8
    nothing = difference(ours, ours, clusters)
    assert (nothing.value, nothing.low, nothing.high, nothing.n) == (0, 0, 0, len(ours))


def test_what_is_hard_for_both_falls_out():
    random = np.random.default_rng(0)
    hardness = random.random(2000)
    ours, theirs = hardness + 0.1 + 0.01 * random.random(2000), hardness
    own = np.arange(2000)
    paired = difference(ours, theirs, own)
    low, high = confidence(ours)
    assert paired.high - paired.low < 0.001 < 0.02 < high - low
    assert paired.low < 0.105 < paired.high


def test_the_interval_covers_the_truth_where_questions_hang_together():
    """Of 300 sets of 40 documents with 10 questions each: how often 0, the true difference, is inside."""
    random = np.random.default_rng(3)
    clusters = np.arange(40).repeat(10)
    covered = np.zeros(2)
    for _ in range(300):
        gains = random.normal(0, 1, 40).repeat(10) + random.normal(0, 0.5, 400)
        nothing = np.zeros(400)
        for which, of in enumerate((clusters, np.arange(400))):
            found = difference(gains, nothing, of)
            covered[which] += found.low <= 0 <= found.high
    together, apart = covered / 300
    assert 0.9 < together < 0.98
    assert apart < 0.6
