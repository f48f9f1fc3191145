from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.scalars import as_written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1900", 1900),
        (" -3 ", -3),
        ("0", 0),
        ("1.50", 1.5),
        ("-0.25", -0.25),
        ("", None),
        ("  ", None),
        *(
            (same, same)
            for same in ("007", "+49 30 12", "1e5", "-0", "1.", ".5", "nan", "1_000", "1,5", "١٢")
        ),
        ("99999999999999999999", 99999999999999999999),
        ("0.1000000000000000055511151231257827", Decimal("0.1000000000000000055511151231257827")),
    ],
)
def test_what_loses_nothing_as_a_number_is_one(text, value):
    found = as_written(text)
    assert (type(found), found) == (type(value), value)


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=30))
def test_no_digit_of_a_number_is_lost(value):
    found = as_written(f"{value:f}" if isinstance(value, Decimal) else str(value))
    assert found == "-0" or found == value or Decimal(repr(found)) == value
