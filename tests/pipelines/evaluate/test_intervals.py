import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import binomtest

from pipelines.evaluate.intervals import Score, bootstrap, clusters_of, difference, mean, share

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


@pytest.mark.parametrize(("right", "n"), [(0, 4), (4, 4), (1, 10), (17, 40), (300, 1000)])
def test_a_share_has_wilsons_interval(right, n):
    found = mean(np.arange(n) < right)
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.value, found.n) == (right / n, n)


def test_questions_asked_again_tell_nothing_new():
    once = (np.random.default_rng(1).random(60) < 0.4).astype(float)
    again, clusters = once.repeat(4), np.arange(60).repeat(4)
    alone, clustered, believed = share(once), share(again, clusters), share(again)
    assert clustered.high - clustered.low == pytest.approx(alone.high - alone.low, rel=0.03)
    assert believed.high - believed.low < 0.6 * (alone.high - alone.low)
    values = np.random.default_rng(2).random(60)
    whole, twice = mean(values), mean(values.repeat(4), clusters)
    assert (twice.low, twice.high) == pytest.approx((whole.low, whole.high))


@given(st.lists(st.integers(0, 1), min_size=1, max_size=30), st.data())
def test_a_share_of_clusters_is_no_surer_than_one_of_questions(values, data):
    clusters = data.draw(st.lists(st.integers(0, 5), min_size=len(values), max_size=len(values)))
    apart, together = share(np.array(values)), share(np.array(values), np.array(clusters))
    assert 0 <= together.low <= apart.low + 1e-9
    assert apart.high - 1e-9 <= together.high <= 1
    assert apart.low <= apart.value + 1e-9
    assert apart.value <= apart.high + 1e-9


def test_each_question_in_its_own_cluster_is_like_no_cluster():
    random = np.random.default_rng(5)
    shares = (random.random(50) < 0.3).astype(float)
    assert share(shares, random.permutation(50)) == share(shares)
    assert mean(np.array([])).n == 0
    assert math.isnan(mean(np.array([])).value)


def test_one_document_alone_cannot_say_how_others_would_differ():
    found = difference(np.array([0.5, 0.7]), np.zeros(2), np.zeros(2))
    assert found.value == pytest.approx(0.6)
    assert math.isnan(found.low)
    assert found.change == "none"


def test_a_difference_whose_interval_holds_0_is_none():
    assert Score(0.1, -0.01, 0.2, 9).change == Score(0.1, 0.0, 0.2, 9).change == "none"
    assert Score(0.1, 0.01, 0.2, 9).change == "more"
    assert Score(-0.1, -0.2, -0.01, 9).change == "less"


def test_three_questions_that_all_gain_are_no_gain_and_nine_are():
    gains = [difference(np.ones(n), np.zeros(n)) for n in (3, 9)]
    assert [one.change for one in gains] == ["none", "more"]
    assert difference(np.zeros(9), np.ones(9)) == Score(-1, -gains[1].high, -gains[1].low, 9)


_ANSWERED = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=40)


@given(_ANSWERED)
def test_a_difference_turns_its_sign_with_the_sides(answered):
    ours, theirs, clusters = (np.array(one, float) for one in zip(*answered, strict=True))
    gain, loss = difference(ours, theirs, clusters), difference(theirs, ours, clusters)
    assert gain.value == pytest.approx(ours.mean() - theirs.mean())
    turned = (-loss.value, -loss.high, -loss.low)
    assert (gain.value, gain.low, gain.high) == pytest.approx(turned, nan_ok=True)
    if len(set(clusters)) > 1:
        assert gain.low - 1e-9 <= gain.value <= gain.high + 1e-9 or len(set(clusters)) < 8
        assert difference(ours, ours, clusters) == Score(0, 0, 0, len(ours))


def test_what_is_hard_for_both_falls_out():
    random = np.random.default_rng(0)
    hardness = random.random(2000)
    ours, theirs = hardness + 0.1 + 0.01 * random.random(2000), hardness
    paired, unpaired = difference(ours, theirs), mean(ours)
    assert paired.high - paired.low < 0.001 < 0.02 < unpaired.high - unpaired.low
    assert paired.low < 0.105 < paired.high


def test_an_interval_is_the_same_whatever_is_drawn_at_once(monkeypatch):
    values = np.random.default_rng(0).random(300)
    whole = mean(values)
    monkeypatch.setattr("pipelines.evaluate.intervals._DRAWS", 300 * 7)
    parts = mean(values)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.005)


Made = tuple[np.ndarray, ...]
Make = Callable[[np.random.Generator], Made]


def covers(make: Make, of: Callable[..., Score], truth: float, sets: int) -> float:
    """In which share of simulated data sets the interval holds the truth."""
    random = np.random.default_rng(7)
    found = (of(*make(random)) for _ in range(sets))
    return sum(one.low <= truth <= one.high for one in found) / sets


def shares(n: int, p: float) -> Make:
    return lambda random: ((random.random(n) < p).astype(float),)


def clustered_shares(clusters: int, each: int, spread: float) -> Make:
    """Documents of unlike difficulty, `each` with so many questions; a third are right."""
    numbers = np.arange(clusters).repeat(each)

    def make(random: np.random.Generator) -> Made:
        chances = random.beta(spread / 3, 2 * spread / 3, clusters)[numbers]
        return (random.random(len(numbers)) < chances).astype(float), numbers

    return make


def pairs(n: int) -> Make:
    """Questions of which one reader knows a third and another two fifths, hard for both alike."""

    def make(random: np.random.Generator) -> Made:
        hardness = random.random(n)
        noise = 0.3 * random.normal(size=(2, n))
        return hardness + noise[0] + 0.07, hardness + noise[1]

    return make


def texts(n: int) -> Make:
    """Nats and tokens of texts of very unlike lengths: three nats a token."""

    def make(random: np.random.Generator) -> Made:
        tokens = random.lognormal(6, 1, n)
        return (np.column_stack([tokens * random.normal(3, 0.5, n), tokens]),)

    return make


def quotient(columns: np.ndarray) -> Score:
    return bootstrap(columns, lambda sums: sums[:, 0] / sums[:, 1])


_THIRD = 1 / 3
SIMULATED = {
    "few shares": (shares(20, 0.1), mean, 0.1),
    "no share": (shares(10, 0.02), mean, 0.02),
    "shares of documents": (clustered_shares(15, 6, 2), share, _THIRD),
    "shares of few documents": (clustered_shares(6, 10, 2), share, _THIRD),
    "skewed means": (lambda random: (random.exponential(1, 30),), mean, 1.0),
    "few differences": (pairs(12), difference, 0.07),
    "texts": (texts(25), quotient, 3.0),
}
MORE = {
    f"{n} shares, {p}": (shares(n, p), mean, p)
    for n in (10, 30, 100, 300)
    for p in (0.01, 0.05, 0.2, 0.5, 0.9)
}
MORE |= {
    f"{m} documents, {each}, {spread}": (clustered_shares(m, each, spread), share, _THIRD)
    for m in (5, 10, 20, 40, 100)
    for each in (2, 5, 20)
    for spread in (0.5, 2, 8)
}
MORE |= {f"{n} differences": (pairs(n), difference, 0.07) for n in (5, 8, 30, 100)}
MORE |= {f"{n} texts": (texts(n), quotient, 3.0) for n in (8, 15, 60)}


@pytest.mark.parametrize("name", SIMULATED)
def test_an_interval_holds_the_truth_as_often_as_it_says(name):
    assert covers(*SIMULATED[name], sets=300) > 0.91


@pytest.mark.long
@pytest.mark.parametrize("name", MORE)
def test_intervals_hold_the_truth_over_a_sweep(name):
    assert covers(*MORE[name], sets=2000) >= 0.90


def test_one_interval_for_a_text_each_would_be_too_narrow():
    """Questions of one document taken one by one: the interval that clusters exist for."""
    make, _, truth = SIMULATED["shares of documents"]
    assert covers(lambda random: make(random)[:1], share, truth, 300) < 0.9
