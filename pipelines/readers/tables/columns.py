"""The values of Arrow's columns, as records hold them.

What pyarrow gives for a value is no whole answer: it rounds nanoseconds or asks pandas for them, and takes a
time of day beyond the day for another one.
"""

from typing import Any

import pyarrow as pa

from base.foreign import Refused, ask
from pipelines.readers.metadata import NESTED, Lost, seconds

# Digits of a second's fraction.
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_DAY = 86_400


def kept(field: pa.Field, named: tuple[str, ...]) -> bool:
    """Whether a column may say something of a document: by its name, as a scalar, as an object of them."""
    if field.name in named or not pa.types.is_nested(field.type):
        return True
    return field.name in NESTED and pa.types.is_struct(field.type)


def value_of(scalar: Any) -> Any:
    """The value of an Arrow scalar: `Lost` if it cannot be read, of a struct an object of such values."""
    if not scalar.is_valid:
        return None
    if pa.types.is_struct(scalar.type):
        return {scalar.type.field(n).name: value_of(scalar[n]) for n in range(scalar.type.num_fields)}
    try:
        return _read(scalar, scalar.type)
    except Refused as error:
        return Lost(str(error))


def _read(scalar: Any, kind: pa.DataType) -> Any:
    if pa.types.is_dictionary(kind):
        return value_of(ask(lambda: scalar.value))
    if pa.types.is_timestamp(kind):
        return moment(scalar.value, kind.unit, kind.tz)
    if pa.types.is_time(kind):
        return _time_of_day(scalar.value, kind.unit)
    if pa.types.is_duration(kind):
        return seconds(scalar.value, _DIGITS[kind.unit])
    return ask(scalar.as_py)


def moment(ticks: int, unit: str, zone: str | None = None) -> str:
    """A point in time as ISO 8601. Raises Refused outside the years 1 to 9999, or for an unknown zone."""
    if unit != "ns":
        return str(ask(_instant, ticks, unit, zone).isoformat())
    ticks, rest = divmod(ticks, 1000)
    found = ask(_instant, ticks, "us", zone)
    if not rest:
        return str(found.isoformat())
    text = found.isoformat(timespec="microseconds")
    end = len("0001-01-01T00:00:00.000000")
    return f"{text[:end]}{rest:03}{text[end:]}"


def _instant(ticks: int, unit: str, zone: str | None) -> Any:
    return pa.scalar(ticks, pa.timestamp(unit, zone)).as_py()


def _time_of_day(ticks: int, unit: str) -> str:
    """A time of day as ISO 8601. Raises Refused for one that is in no day."""
    digits = _DIGITS[unit]
    if not 0 <= ticks < _DAY * 10**digits:
        raise Refused(f"ValueError: {ticks} {unit} are no time of a day")
    return moment(ticks, unit).partition("T")[2]


def whole_int96(milliseconds: int, nanoseconds: int) -> int:
    """The nanoseconds of an INT96 timestamp, read as milliseconds and as nanoseconds that overflow 64 bits.

    INT96 reaches far beyond the years that nanoseconds in 64 bits do; its last digits are right in these.
    """
    below = (nanoseconds - milliseconds * 10**6) % 2**64
    if below >= 10**6:
        raise Refused(f"ValueError: {milliseconds} ms of INT96 have no nanoseconds of their own")
    return milliseconds * 10**6 + below
