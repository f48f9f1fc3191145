"""Any type of Arrow's as a column: what can be read is right, what cannot is told, no row is lost."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from datastore.conditions import Condition
from datastore.schema import Document
from pipelines.readers.metadata import Lost, scalar
from pipelines.readers.tables.columns import value_of
from tests.pipelines.readers.reading import read_with

UNITS = ("s", "ms", "us", "ns")
ZONES = st.sampled_from([None, "UTC", "Europe/Berlin", "+07:30", "Mars/Olympus", "Europe", "/etc/passwd", ""])
INTS = st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**5), 10**5)


def of_ints(kind):
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    bound = 2 ** (kind.bit_width - 1)
    # Parquet knows no part of a day in a date.
    step = 86_400_000 if kind == pa.date64() else 1
    ticks = INTS.map(lambda n: ((n + bound) % (2 * bound) - bound) // step * step)
    ticks = ticks.filter(lambda n: n >= -bound)
    return st.lists(ticks, min_size=1, max_size=3).map(lambda made: pa.array(made, width).view(kind))


TEMPORAL = st.one_of(
    st.builds(lambda unit, zone: pa.timestamp(unit, zone), st.sampled_from(UNITS), ZONES),
    st.sampled_from([*map(pa.duration, UNITS), pa.date32(), pa.date64()]),
    st.sampled_from([pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]),
).flatmap(of_ints)


@st.composite
def decimals(draw):
    wide = draw(st.booleans())
    precision = draw(st.integers(1, 76 if wide else 38))
    scale = draw(st.integers(0, precision))
    kind = (pa.decimal256 if wide else pa.decimal128)(precision, scale)
    digits = st.integers(-(10**precision) + 1, 10**precision - 1)
    return pa.array([Decimal(f"{d}e{-scale}") for d in draw(st.lists(digits, min_size=1, max_size=3))], kind)


OTHERS = st.sampled_from(
    [
        pa.array([b"\xff", b"x"], pa.binary()),
        pa.array([b"\xff", b"x"], pa.large_binary()),
        pa.array([b"12", None], pa.binary(2)),
        pa.array([b"\xff", b"x"]).view(pa.string()),
        pa.array(["x", None], pa.large_string()),
        pa.array(["x", None], pa.string_view()),
        pa.array([b"x", None], pa.binary_view()),
        pa.array(["x", "y", "x"]).dictionary_encode(),
        pa.array([[1], None], pa.list_(pa.int64())),
        pa.array([[1], []], pa.large_list(pa.int64())),
        pa.array([[1, 2], None], pa.list_(pa.int8(), 2)),
        pa.array([{"a": 1}, None]),
        pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array([1.5, float("nan"), float("inf")], pa.float16()),
        pa.array([1.5, float("nan"), float("-inf")], pa.float32()),
        pa.array([2**64 - 1, 0], pa.uint64()),
        pa.array([-128], pa.int8()),
        pa.array([True, None]),
        pa.nulls(2),
        pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef"], pa.binary(16))),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8())),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "null"])),
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    column=TEMPORAL | decimals() | OTHERS,
    name=st.sampled_from(["year", "id", "text", "domain", "metadata", "meta.x"]),
    nested=st.booleans(),
)
def test_no_type_costs_more_than_its_own_field(tmp_path_factory, column, name, nested):
    path = tmp_path_factory.mktemp("types") / "a.parquet"
    rows = len(column)
    columns = {"text": pa.array(["T"] * rows), "id": pa.array([str(n) for n in range(rows)])}
    if nested:
        columns["metadata"] = pa.StructArray.from_arrays([column], [name])
    else:
        columns[name] = column
    try:
        pq.write_table(pa.table(columns), path)
    except pa.ArrowInvalid:
        reject()  # Parquet knows no seconds: their milliseconds may not fit.
    intake, found = read_with(path, kind="parquet")
    assert len(found) == rows
    if nested or name not in ("id", "text", "domain"):
        assert [r.id for r in found if isinstance(r, Document)] == [str(n) for n in range(rows)]
        for record, stored in zip(found, column, strict=True):
            value = value_of(stored)
            lost = [one.field for one in intake.left_out if isinstance(value, Lost)]
            assert not lost or name in lost
            if not isinstance(value, Lost | dict | list):
                assert record.metadata.get(name) == scalar(value)


@given(decimals())
def test_a_decimal_keeps_every_digit_and_is_compared_as_a_number(column):
    for value in column:
        kept = scalar(value_of(value))
        assert Decimal(repr(kept) if isinstance(kept, float) else kept) == value.as_py()
        assert Condition.parse(f"n>={value.as_py()}").meets(kept)
        assert not Condition.parse(f"n<{value.as_py()}").meets(kept)


@given(
    st.integers(-62135596800, 253402300799),
    st.integers(0, 10**9 - 1),
    st.sampled_from([None, "UTC", "Europe/Berlin"]),
)
def test_timestamps_are_those_of_python_to_the_nanosecond(seconds, below, zone):
    exact = seconds * 10**9 + below
    for unit, ticks in (("s", seconds), ("ms", exact // 10**6), ("us", exact // 10**3), ("ns", exact)):
        if not -(2**63) <= ticks < 2**63 or (zone and not -62135500000 < seconds < 253402200000):
            continue
        text = value_of(pa.scalar(ticks, pa.timestamp(unit, zone)))
        python = datetime.datetime.fromisoformat(text)
        whole = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
        assert python.replace(microsecond=0, tzinfo=python.tzinfo or datetime.UTC) == whole
        if unit == "ns" and below % 1000:
            assert f".{below:09}" in text


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (pa.array([10**9 + 1], pa.time64("ns")), "00:00:01.000000001"),
        (pa.array([1577934245678901], pa.timestamp("us")), "2020-01-02T03:04:05.678901"),
        (pa.array([1577934245], pa.timestamp("s", "UTC")), "2020-01-02T03:04:05+00:00"),
        (pa.array([90], pa.duration("s")), 90),
        (pa.array([-1500], pa.duration("ms")), -1.5),
        (pa.array([2**62 + 1], pa.duration("ns")), Decimal("4611686018.427387905")),
        (pa.array([Decimal(1900)], pa.decimal128(10, 0)), 1900),
        (pa.array([Decimal("12.50")], pa.decimal128(10, 2)), 12.5),
        (pa.array([Decimal("1e5")], pa.decimal128(5, -3)), 100000.0),
        (pa.array([b"0123456789abcdef"], pa.binary(16)), None),
    ],
)
def test_what_values_become(column, value):
    found = scalar(value_of(column[0]))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**60], pa.timestamp("us")),
        pa.array([0], pa.timestamp("us", "Mars/Olympus")),
        pa.array([0], pa.timestamp("ns", "Europe")),
        pa.array([2**60], pa.int64()).view(pa.time64("us")),
        pa.array([2**31 - 1], pa.int32()).view(pa.date32()),
    ],
)
def test_what_no_calendar_holds_is_told(column):
    assert isinstance(value_of(column[0]), Lost)


def test_timestamps_of_96_bits_are_right_in_every_year(tmp_path):
    path = tmp_path / "a.parquet"
    times = [
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime.datetime(1, 1, 1),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 678901),
        None,
    ]
    table = pa.table({"text": ["T"] * 4, "when": pa.array(times, pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    _, found = read_with(path, kind="parquet")
    assert [r.metadata.get("when") for r in found] == [t and t.isoformat() for t in times]
    nanoseconds = pa.table({"text": ["T"], "when": pa.array([1577934245678901234], pa.timestamp("ns"))})
    pq.write_table(nanoseconds, path, use_deprecated_int96_timestamps=True)
    _, (one,) = read_with(path, kind="parquet")
    assert one.metadata == {"when": "2020-01-02T03:04:05.678901234"}


def test_a_bad_value_beside_good_ones_of_a_nested_object_is_left_out_alone(tmp_path):
    path = tmp_path / "a.parquet"
    made = pa.StructArray.from_arrays(
        [pa.array([2**60, 0], pa.timestamp("us")), pa.array(["x", "y"])], ["created", "url"]
    )
    pq.write_table(pa.table({"text": ["one", "two"], "metadata": made}), path)
    intake, (one, two) = read_with(path, kind="parquet")
    assert one.metadata == {"url": "x"}
    assert two.metadata == {"url": "y", "created": "1970-01-01T00:00:00"}
    assert [(left.field, left.why) for left in intake.left_out] == [("created", "unreadable")]


def test_an_id_may_be_a_decimal_without_a_fraction(tmp_path):
    path = tmp_path / "a.parquet"
    ids = pa.array([Decimal(10**29), Decimal(7)], pa.decimal128(30, 0))
    pq.write_table(pa.table({"text": ["one", "two"], "id": ids}), path)
    _, found = read_with(path, kind="parquet")
    assert [r.id for r in found] == ["1" + "0" * 29, "7"]
