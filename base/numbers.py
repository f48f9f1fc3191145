"""Numbers as they are written: no digit is lost that 64 bits, or a double, would round away.

A whole number is an `int`; a fraction is a `float` where the shortest way to write this float says the same
number, else a `Decimal`.
"""

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

Number = int | float | Decimal

# Python refuses to read or write an int of more: it would take quadratic time.
_MOST_DIGITS = 4300


def whole(text: str) -> int | Decimal:
    """The number that digits spell, with a sign or without."""
    return int(text) if len(text) <= _MOST_DIGITS else Decimal(text)


def fraction(text: str) -> float | Decimal | str:
    """The number that is written with a point or an exponent; the text if the exponent is out of bounds."""
    near = float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return text
    return near if says(near, exact) else exact


def says(near: float, exact: Decimal) -> bool:
    """Whether the shortest way to write a float is this number."""
    return math.isfinite(near) and Decimal(repr(near)) == exact


def simplest(exact: Decimal) -> int | float | Decimal:
    """A finite number without a fraction as an int, one that a float says as a float, any other as it is."""
    if exact.as_tuple().exponent == 0 and len(exact.as_tuple().digits) <= _MOST_DIGITS:
        return int(exact)
    near = float(exact)
    return near if says(near, exact) else exact


def beyond(value: object) -> bool:
    """Whether JSON's usual readers would round a number."""
    if isinstance(value, int):
        return not -(2**63) <= value < 2**64
    return isinstance(value, Decimal)


def alike(one: Any, other: Any) -> tuple[Any, Any]:
    """Two values to compare: beside a Decimal a float is the number that it is written as.

    Otherwise 0.1 as a double and 0.1 as a Decimal would be two numbers.
    """
    if isinstance(one, Decimal) and isinstance(other, float) and math.isfinite(other):
        return one, Decimal(repr(other))
    if isinstance(other, Decimal) and isinstance(one, float) and math.isfinite(one):
        return Decimal(repr(one)), other
    return one, other


def loads(text: str) -> Any:
    """Read JSON with every digit of its numbers. Raises ValueError, RecursionError; NaN is no number."""
    return json.loads(text, parse_int=whole, parse_float=fraction, parse_constant=_refuse)


class NoNumberError(ValueError):
    """NaN or an infinity stands where JSON wants a number."""


def _refuse(name: str) -> NoReturn:
    raise NoNumberError(name)


def dumps(content: object, indent: bool = False) -> str:
    """Spell JSON for others to read: whole numbers to the digit, Decimals as text."""
    try:
        option = orjson.OPT_INDENT_2 if indent else 0
        return orjson.dumps(content, default=_text, option=option).decode()
    except orjson.JSONEncodeError:  # A whole number of more than 64 bits.
        return json.dumps(content, default=_text, ensure_ascii=False, indent=2 if indent else None)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError
