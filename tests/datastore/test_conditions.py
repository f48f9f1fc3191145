import operator
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from base.numbers import loads
from datastore.conditions import AllOf, AnyOf, Condition
from datastore.schema import dump_metadata, load_metadata


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
    one, other, third = (Condition.parse(f"version={text}") for text in ("1", "1.0", "true"))
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


class Rows:
    """Metadata of some rows."""

    def __init__(self, records):
        self.records = records

    def metadata(self, column):
        return [one.get(column) for one in self.records]


def met(clause, record):
    """By the definition, record by record."""
    if isinstance(clause, Condition):
        return clause.meets(record.get(clause.column))
    return (any if isinstance(clause, AnyOf) else all)(met(part, record) for part in clause.parts)


CONDITIONS = st.builds(
    Condition, st.sampled_from("abc"), st.sampled_from(["=", "!=", ">", "<="]), st.just("1")
)
CLAUSES = st.recursive(
    CONDITIONS,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)),
        st.sampled_from([AnyOf, AllOf]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 1, 2, "1", "x"])), max_size=6)


@given(CLAUSES, RECORDS)
def test_groups_are_met_as_their_parts_are(clause, records):
    kept = clause.keep(Rows(records))
    assert (kept.dtype, kept.tolist()) == (np.dtype(bool), [met(clause, one) for one in records])


@given(CLAUSES, RECORDS, st.sets(st.sampled_from("abc")))
def test_where_some_columns_are_not_there_what_is_left_keeps_the_same(clause, records, columns):
    there = [{name: value for name, value in one.items() if name in columns} for one in records]
    left = clause.among(columns)
    assert left is None or set(left.columns) <= columns
    kept = [False] * len(there) if left is None else left.keep(Rows(there)).tolist()
    assert kept == [met(clause, one) for one in there]


def test_a_group_is_written_as_it_is_meant():
    first, second = Condition("year", ">", "1900"), Condition("licence", "=", "CC0")
    clause = AllOf((AnyOf((first, second)), first))
    assert str(clause) == "((year>1900 or licence=CC0) and year>1900)"
    assert clause.columns == ("year", "licence", "year")
    assert clause == AllOf((AnyOf((first, second)), first))
    assert len({clause, AllOf((AnyOf((first, second)), first)), AnyOf((first,))}) == 2


@pytest.mark.parametrize("kind", [AnyOf, AllOf])
def test_a_group_of_nothing_is_none(kind):
    with pytest.raises(RalmError, match="at least one"):
        kind(())
