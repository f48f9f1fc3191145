"""Conditions on what is kept of a passage's document: what a view's metadata must be.

A condition compares one column; a group of them is met if any is, or if all are. Knows rows, no store.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, Union

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from base.numbers import alike, says
from datastore.schema import Scalar


class Columns(Protocol):
    """What a view decides by, of some rows of a datastore; a column is read only when it is asked for."""

    @property
    def keys(self) -> NDArray[np.uint64]: ...

    @property
    def domains(self) -> Sequence[str]: ...

    def metadata(self, column: str) -> Sequence[Scalar]:
        """A metadata column; None where a passage has no such value."""


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
# All the signs that stand together are the comparison: year=>3 does not ask for the text ">3".
_SIGNS = "<>=!≤≥≠"
_CONDITION = re.compile(rf"\s*([^{_SIGNS}]+?)\s*([{_SIGNS}](?:\s*[{_SIGNS}])*)\s*(.*?)\s*", re.DOTALL)
# What is written for a comparison elsewhere, or by a slip of the finger. Two equals signs are taken for one.
_MEANT = {
    "=>": ">=",
    "=<": "<=",
    "=!": "!=",
    "<>": "!=",
    "><": "!=",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "==": "=",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a metadata column with a value: numbers as numbers, text (ISO dates too) as text.

    A passage without the column does not meet it. Text and numbers are compared as text by = and !=, and meet
    no other comparison with each other.
    """

    column: str
    operator: str
    value: str  # As it was written: text such as 02139 or 1.10 is another as text than as a number.
    _parsed: Scalar = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.operator not in _OPERATORS:
            raise RalmError(f"{self.operator!r} is no comparison: use {', '.join(_OPERATORS)}.")
        object.__setattr__(self, "_parsed", _scalar(self.value))
        if self.operator not in ("=", "!="):
            self._require_order()

    def _require_order(self) -> None:
        """Raise RalmError for a value that nothing is larger or smaller than."""
        if not self.value:
            raise RalmError(f"{str(self)!r} compares with nothing: write a value behind {self.operator}.")
        if isinstance(self._parsed, float) and not math.isfinite(self._parsed):
            raise RalmError(
                f"{str(self)!r} compares with no number: {self.value} has no place among numbers, write one "
                "that has."
            )
        if any(sign in self.value for sign in _SIGNS):
            raise RalmError(
                f"{str(self)!r} is several conditions in one: write each by itself, as year>=1990 and as "
                "year<2000."
            )

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read `column operator value`, such as year>=2010 or licence=CC0. Raises RalmError."""
        found = _CONDITION.fullmatch(text)
        if not found:
            raise RalmError(
                f"{text!r} is no condition: write a metadata column, one of {', '.join(_OPERATORS)}, and a "
                "value, such as year>=2010."
            )
        signs = "=" if found[2] == "==" else found[2]
        if signs not in _OPERATORS:
            near = _MEANT.get("".join(signs.split()), "".join(signs.split()))
            mend = (
                f"did you mean {found[1]}{near}{found[3]}?" if near in _OPERATORS else "such as year>=2010."
            )
            raise RalmError(f"{text!r}: {signs} is no comparison, use one of {', '.join(_OPERATORS)}: {mend}")
        return cls(found[1], signs, found[3])

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"

    @property
    def parsed(self) -> Scalar:
        """The value as it is compared: a number or true or false where it reads as one, else text."""
        return self._parsed

    def never_meets(self, value: Scalar) -> bool:
        """Whether it asks for an order that a value of this kind has with none of its own."""
        return self.operator not in ("=", "!=") and isinstance(self._parsed, str) != isinstance(value, str)

    def meets(self, value: Scalar) -> bool:
        """Whether a passage with this value of the column meets the condition."""
        if value is None:
            return False
        compare = _OPERATORS[self.operator]
        if isinstance(self._parsed, str) != isinstance(value, str):
            # "2010" in the data is text where --where year>=2010 is a number, and the other way round.
            return compare(str(value), self.value) if self.operator in ("=", "!=") else False
        return compare(*alike(value, self._parsed))

    @property
    def columns(self) -> tuple[str, ...]:
        """The metadata column that decides."""
        return (self.column,)

    def keep(self, rows: Columns) -> NDArray[np.bool_]:
        """Which of these rows meet it: bool [n]."""
        values = rows.metadata(self.column)
        return np.fromiter(map(self.meets, values), bool, len(values))

    def among(self, columns: Collection[str]) -> "Condition | None":
        """Itself where there is such a column; None where nothing can meet it."""
        return self if self.column in columns else None


def _scalar(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, _fraction):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _fraction(text: str) -> float | Decimal:
    """A number with all of its digits. NaN and infinities, and what is beyond all numbers, stay floats."""
    near = float(text)
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return near
    return near if says(near, exact) or not exact.is_finite() else exact


@dataclass(frozen=True, slots=True)
class _Group:
    """Conditions, and groups of them, as one."""

    parts: tuple["Clause", ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise RalmError("A group of conditions needs at least one of them.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The metadata columns that decide."""
        return tuple(column for part in self.parts for column in part.columns)


@dataclass(frozen=True, slots=True)
class AnyOf(_Group):
    """Is met if one of its parts is, also where a passage lacks the others' columns."""

    def __str__(self) -> str:
        return f"({' or '.join(map(str, self.parts))})"

    def keep(self, rows: Columns) -> NDArray[np.bool_]:
        """Which of these rows meet it: bool [n]."""
        found: NDArray[np.bool_] = np.logical_or.reduce([part.keep(rows) for part in self.parts])
        return found

    def among(self, columns: Collection[str]) -> "AnyOf | None":
        """What of it can be met where there are only these columns; None if nothing can."""
        there = [one for part in self.parts if (one := part.among(columns)) is not None]
        return AnyOf(tuple(there)) if there else None


@dataclass(frozen=True, slots=True)
class AllOf(_Group):
    """Is met if all of its parts are."""

    def __str__(self) -> str:
        return f"({' and '.join(map(str, self.parts))})"

    def keep(self, rows: Columns) -> NDArray[np.bool_]:
        """Which of these rows meet it: bool [n]."""
        found: NDArray[np.bool_] = np.logical_and.reduce([part.keep(rows) for part in self.parts])
        return found

    def among(self, columns: Collection[str]) -> "AllOf | None":
        """What of it can be met where there are only these columns; None if nothing can."""
        there = [one for part in self.parts if (one := part.among(columns)) is not None]
        return AllOf(tuple(there)) if len(there) == len(self.parts) else None


Clause = Union[Condition, AnyOf, AllOf]  # noqa: UP007  (it names itself)
