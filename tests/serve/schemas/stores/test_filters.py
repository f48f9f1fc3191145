import pytest

from base.errors import RalmError
from datastore.conditions import AllOf, AnyOf, Condition
from serve.schemas.stores.filters import MAX_CONDITIONS, MAX_DEPTH, clauses_of


def compared(kind, value, key="year"):
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("filters", "clauses"),
    [
        (compared("eq", 1412), (Condition("year", "=", "1412"),)),
        (compared("ne", 1.5), (Condition("year", "!=", "1.5"),)),
        (compared("gte", "2020-01-01"), (Condition("year", ">=", "2020-01-01"),)),
        (compared("lt", 3), (Condition("year", "<", "3"),)),
        (compared("eq", True), (Condition("year", "=", "true"),)),
        (compared("in", ["a", 2]), (AnyOf((Condition("year", "=", "a"), Condition("year", "=", "2"))),)),
        (compared("nin", ["a", 2]), (Condition("year", "!=", "a"), Condition("year", "!=", "2"))),
        (
            {"type": "and", "filters": [compared("gt", 1), compared("lte", 2, "a<b")]},
            (Condition("year", ">", "1"), Condition("a<b", "<=", "2")),
        ),
        (
            {"type": "or", "filters": [{"type": "and", "filters": [compared("gt", 1)]}, compared("eq", "")]},
            (AnyOf((AllOf((Condition("year", ">", "1"),)), Condition("year", "=", ""))),),
        ),
    ],
)
def test_a_filter_is_conditions(filters, clauses):
    assert clauses_of(filters) == clauses


def deep(levels):
    return compared("eq", 1) if levels == 1 else {"type": "or", "filters": [deep(levels - 1)]}


def test_filters_have_bounds():
    assert clauses_of(deep(MAX_DEPTH))
    with pytest.raises(ValueError, match="10 deep"):
        clauses_of(deep(MAX_DEPTH + 1))
    assert clauses_of(compared("in", ["x"] * MAX_CONDITIONS))
    with pytest.raises(ValueError, match="at most 100 conditions"):
        clauses_of({"type": "and", "filters": [compared("in", ["x"] * MAX_CONDITIONS), compared("eq", 1)]})


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({}, "type of a filter is one of eq, ne, .*, not nothing"),
        (compared("gtr", 1), r"not 'gtr'; did you mean gt"),
        ({"type": "eq", "key": "year"}, "of type 'eq' needs value"),
        (compared("eq", 1) | {"vaule": 2}, "'vaule' is no field of .*; did you mean value?"),
        (compared("eq", [1]), r"'year' is compared with text, a number, true or false, not with \[1\]"),
        (compared("eq", None), "not with nothing"),
        (compared("eq", "\ud800"), "not with"),
        (compared("in", 1), "'in' of 'year' takes a list of at least one value, not 1"),
        (compared("nin", []), "takes a list of at least one value"),
        (compared("in", [[1]]), r"not with \[1\]"),
        (compared("eq", 1, 7), "name of a metadata column, not 7"),
        (compared("eq", 1, ""), "name of a metadata column"),
        ({"type": "or", "filters": []}, "a list of at least one filter"),
        ({"type": "and", "filters": {}}, "a list of at least one filter"),
        ({"type": "and"}, "needs filters"),
        ({"type": "and", "filters": [1]}, "a mapping with a type, not 1"),
        ({"type": ["and"]}, r"not \[\"and\"\]"),
    ],
)
def test_what_is_no_filter_says_what_one_is(filters, reason):
    with pytest.raises(ValueError, match=reason):
        clauses_of(filters)


def test_an_order_needs_what_has_one():
    with pytest.raises(RalmError, match="compares with no number"):
        clauses_of(compared("gt", float("nan")))
