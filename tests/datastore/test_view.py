import operator
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from base.numbers import loads
from datastore.schema import dump_metadata, load_metadata
from datastore.view import Condition, View, mix

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


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("year>=2010", 2010, True),
        ("year>=2010", 2009.5, False),
        ("year>=2010", "2011", False),
        ("year=2010", "2010", True),
        ("year != 2010", "2010", False),
        ("date<2020-06", "2020-05-31T10:00:00Z", True),
        ("date>=2020-06", "2020-05-31", False),
        ("licence=CC BY-SA 4.0", "CC BY-SA 4.0", True),
        ("score > 0.5", 0.75, True),
        ("score > 0.5", None, False),
        ("licence!=CC0", None, False),
        ("open=true", True, True),
        ("note==a=b", "a=b", True),
        ("version=1.0", 1, True),
        ("year>2000", "2010", False),
        ("name>m", 7, False),
    ],
)
def test_a_condition_compares_like_with_like(text, value, met):
    assert Condition.parse(text).meets(value) is met


@pytest.mark.parametrize("text", ["02139", "1.10", "true", "0306406152", "123e4567", "1_000", "nan", "x"])
def test_text_that_looks_like_a_number_is_the_text_as_written(text):
    """`ralm delete --where zip!=02139` must not take down what lies at 02139."""
    assert Condition.parse(f"zip={text}").meets(text)
    assert not Condition.parse(f"zip!={text}").meets(text)


def test_conditions_that_texts_tell_apart_are_two():
    one, other, third = (View(where=(Condition.parse(f"version={text}"),)) for text in ("1", "1.0", "true"))
    assert len({one, other, third}) == 3


@pytest.mark.parametrize("text", ["", "year", "=2010", "year~2010", ">", "year>>3", "year>= <3", "year<=>3"])
def test_what_is_no_condition_says_how_one_looks(text):
    with pytest.raises(RalmError, match="such as year>=2010"):
        Condition.parse(text)


@pytest.mark.parametrize(
    ("signs", "meant"),
    [
        *(("=>", ">="), ("=<", "<="), ("=!", "!="), ("<>", "!="), ("><", "!=")),
        *(("= >", ">="), ("> =", ">="), ("= =", "=="), ("! =", "!="), ("≥", ">="), ("≤", "<="), ("≠", "!=")),
    ],
)
@pytest.mark.parametrize("around", ["", " "])
def test_a_comparison_that_is_none_is_not_searched_but_mended(signs, meant, around):
    with pytest.raises(RalmError) as refused:
        Condition.parse(f"year{around}{signs}{around}2000")
    assert str(refused.value).endswith(f"did you mean year{meant.replace('==', '=')}2000?")


@given(st.text("<>=!≤≥≠ ", min_size=1, max_size=4), st.integers(0, 3000))
def test_signs_are_one_of_the_comparisons_or_refused(signs, year):
    """Whatever is taken means what it says: no sign is left at the front of the value."""
    if signs.strip() in {">=", "<=", "!=", ">", "<", "=", "=="}:
        found = Condition.parse(f"year{signs}{year}")
        assert (found.operator, found.value) == (signs.strip().replace("==", "="), str(year))
    else:
        with pytest.raises(RalmError, match=r"such as year>=2010\.|did you mean year\S+\?"):
            Condition.parse(f"year{signs}{year}")


@pytest.mark.parametrize("value", ["NaN", "nan", "inf", "-inf", "Infinity", "+nan"])
@pytest.mark.parametrize("sign", [">=", "<=", ">", "<"])
def test_what_has_no_place_among_numbers_is_nothing_to_compare_with(sign, value):
    with pytest.raises(RalmError, match="compares with no number"):
        Condition.parse(f"year{sign}{value}")


@pytest.mark.parametrize("text", ["year>=1990 and year<2000", "year>=1990,year<2000", "year>1990&note=3"])
def test_two_conditions_in_one_are_refused(text):
    with pytest.raises(RalmError, match="several conditions in one: write each by itself"):
        Condition.parse(text)


@pytest.mark.parametrize("text", ["year>=", "year> ", "date<"])
def test_an_order_needs_a_value(text):
    with pytest.raises(RalmError, match="compares with nothing"):
        Condition.parse(text)


def test_an_unknown_comparison_is_refused():
    with pytest.raises(RalmError, match="is no comparison"):
        Condition("year", "~", "1")


# Numbers near each other, as JSON writes them: what a double or 64 bits would take for the same.
NEAR = [
    "0.1",
    "0.10000000000000000001",
    "1e20",
    "100000000000000000001",
    "1e400",
    "1.0e400",
    "-1e400",
    "1900",
    "7",
]
NEAR += ["9" * 5000, "1900.00000000000000000001", "18446744073709551616"]


@pytest.mark.parametrize("bound", NEAR)
@pytest.mark.parametrize("written", NEAR)
def test_numbers_are_compared_to_the_last_digit(written, bound):
    stored = load_metadata(dump_metadata({"n": loads(written)}))["n"]
    for sign, compare in ((">=", operator.ge), ("<", operator.lt), ("=", operator.eq), ("!=", operator.ne)):
        wanted = compare(Decimal(written), Decimal(bound))
        assert Condition.parse(f"n{sign}{bound}").meets(stored) == wanted


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
