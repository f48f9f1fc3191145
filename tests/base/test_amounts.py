import pytest

from base.amounts import amount, duration, energy, parse_bytes
from base.errors import RalmError


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (0, "passages", "0 passages"),
        (1234, "passages", "1,234 passages"),
        (12_300_000, "bytes", "12.3 MB"),
        (5e9, "bytes", "5.00 GB"),
        (2.5, "documents", "2.5 documents"),
        (7, "", "7"),
        (1, "", "1"),
        (1, "documents", "1 document"),
        (1, "queries", "1 query"),
        (0.96, "passages", "1.0 passages"),
        (1000, "bytes", "1.0 KB"),
        (43, "bytes", "43 bytes"),
        (1, "bytes", "1 byte"),
    ],
)
def test_amounts_are_for_people(number, unit, text):
    assert amount(number, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2s"), (200, "3m 20s"), (7500, "2h 05m"), (12 * 86400 + 3 * 3600, "12d 3h")],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("joules", "shown"), [(812.4, "812 J"), (12_345, "12.3 kJ"), (1.5e6, "1.5 MJ"), (3.6e8, "100.0 kWh")]
)
def test_joules_for_people(joules, shown):
    assert energy(joules) == shown


@pytest.mark.parametrize(
    ("text", "value"), [("4GiB", 4 * 2**30), ("500MB", 500_000_000), ("1024", 1024), ("1.5 KiB", 1536)]
)
def test_sizes_are_read(text, value):
    assert parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "4 gigs", "-1GiB", "GiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(RalmError, match="is not a size"):
        parse_bytes(text)
