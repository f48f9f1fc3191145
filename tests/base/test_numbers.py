import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.numbers import beyond, dumps, fraction, loads, whole

DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,39})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


@given(DIGITS)
def test_every_number_of_json_keeps_its_digits(written):
    found = loads(written)
    assert Decimal(repr(found) if isinstance(found, float) else found) == Decimal(written)


def test_a_number_that_a_double_says_is_one():
    assert [fraction(text) for text in ("1.10", "1e5", "0.1", "-0.0")] == [1.1, 100000.0, 0.1, 0.0]
    assert fraction("1.10000000000000000001") == Decimal("1.10000000000000000001")
    assert fraction("1e400") == Decimal("1e400")
    # Beyond any exponent that a Decimal takes: at least it is not lost.
    assert fraction("1e99999999999999999999999") == "1e99999999999999999999999"


def test_a_number_of_thousands_of_digits_is_read():
    assert str(whole("7" * 5000)) == "7" * 5000
    assert whole("7" * 30) == int("7" * 30)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, Decimal("0.1")])
def test_what_the_usual_readers_round_is_told(value):
    assert beyond(value)


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 0.1, True, "x", None])
def test_what_they_read_is_told(value):
    assert not beyond(value)


@pytest.mark.parametrize("indent", [True, False])
def test_what_others_read_holds_whole_numbers_to_the_digit_and_decimals_as_text(indent):
    content = {"n": 10**30, "x": Decimal("1.10000000000000000001"), "t": "é"}
    assert json.loads(dumps(content, indent)) == content | {"x": "1.10000000000000000001"}
    with pytest.raises(TypeError):
        dumps({"x": object()})
