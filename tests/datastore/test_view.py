import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.view import View, mix

keys = st.lists(st.integers(0, 2**64 - 1), max_size=50).map(lambda k: np.array(k, np.uint64))
fractions = st.floats(0.001, 1.0)


@given(keys, fractions, fractions, st.integers(0, 1000))
def test_a_smaller_view_lies_in_a_larger_one_of_the_same_seed(found, one, other, seed):
    small = View(min(one, other), seed).sampled(found)
    large = View(max(one, other), seed).sampled(found)
    assert not (small & ~large).any()


@given(keys, fractions, st.integers(0, 1000), st.randoms())
def test_a_passage_is_in_or_out_whatever_stands_beside_it(found, fraction, seed, random):
    view = View(fraction, seed)
    whole = view.sampled(found)
    order = list(range(len(found)))
    random.shuffle(order)
    assert (view.sampled(found[order]) == whole[order]).all()


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_a_view_keeps_its_share(fraction, seed):
    found = mix(np.arange(200_000, dtype=np.uint64), 12345)
    kept = View(fraction, seed).sampled(found).mean()
    assert abs(kept - fraction) < 4 * (fraction * (1 - fraction) / len(found)) ** 0.5


def test_seeds_sample_apart():
    found = np.arange(100_000, dtype=np.uint64)
    one, other = View(0.1, 0).sampled(found), View(0.1, 1).sampled(found)
    assert abs((one & other).mean() - 0.01) < 0.002


def test_the_mix_is_a_bijection_on_what_it_is_given():
    assert len(np.unique(mix(np.arange(100_000, dtype=np.uint64), 7))) == 100_000


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_outside_is_refused(fraction):
    with pytest.raises(RalmError, match="fraction must be above 0"):
        View(fraction)


def test_a_view_names_what_is_not_there_and_what_is_like_it():
    there = [f"d{n:02}" for n in range(22)]
    view = View(domains=("d01", "d99"), where=(Condition.parse("year>1"),))
    view.require_known([*there, "d99"], ["year"])
    with pytest.raises(RalmError, match=r"domain 'd99': there are 'd00', .*'d19' and 2 more"):
        view.require_known(there, ["year"])
    with pytest.raises(RalmError, match=r"column 'year': there are none\."):
        view.require_known(there, [])
    with pytest.raises(RalmError, match="domains are chosen by --domain"):
        View(where=(Condition.parse("domain=a"),)).require_known(there, ["year"])


@pytest.mark.parametrize(
    ("wrong", "mend"),
    [
        ({"domains": "history"}, r"domains is a tuple of names: write domains=\('history',\)"),
        ({"where": "year>=1900"}, r"write where=\(Condition\.parse\(\"year>=1900\"\),\)"),
        ({"where": Condition("year", "<", "2")}, r"write where=\(Condition\.parse\(\"year<2\"\),\)"),
        ({"where": ("year>=1900",)}, r"write Condition\.parse\(\"year>=1900\"\) for 'year>=1900'"),
    ],
)
def test_names_and_conditions_stand_in_tuples(wrong, mend):
    with pytest.raises(RalmError, match=mend):
        View(**wrong)
