"""View: which passages count, the same for every query.

A passage is in or out by a hash of its key and the seed, never by a sequential draw, so a view of a
smaller fraction is contained in one of a larger fraction with the same seed; and by what is kept of
its document: domain and metadata. A View never depends on the query.

Decisions: docs/decisions/identity-and-metadata.md, searching.md.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from base.names import did_you_mean
from base.numbers import alike, says
from datastore.schema import Scalar

# The finalizer of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
# generators", mix64 variant 13): a bijection of 64-bit words whose output bits look independent.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)
# Domains and columns that a message names: a store may have thousands.
_LISTED = 20


def mix(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Hash passage keys with a seed: uint64 [n] -> uint64 [n], uniform over all 64-bit words."""
    with np.errstate(over="ignore"):
        salt = _finalize(np.array([seed & 0xFFFF_FFFF_FFFF_FFFF], np.uint64) + _GAMMA)
        return _finalize(keys ^ salt)


def _finalize(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _MUL_1
    x = (x ^ (x >> np.uint64(27))) * _MUL_2
    return x ^ (x >> np.uint64(31))


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
class View:
    """A subset of a datastore's passages.

    A `fraction` in (0, 1] of them, sampled by `seed`; of some `domains` (empty: all); that meet every
    condition of `where` (date ranges, licences, quality scores: whatever metadata the records had).
    """

    fraction: float = 1.0
    seed: int = 0
    domains: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise RalmError(f"A view's fraction must be above 0 and at most 1, not {self.fraction}.")
        if isinstance(self.domains, str):
            raise RalmError(f"domains is a tuple of names: write domains=({self.domains!r},).")
        if isinstance(self.where, str | Condition):
            raise RalmError(f"where is a tuple of conditions: write where=({_written(self.where)},).")
        for one in self.where:
            if isinstance(one, str):
                raise RalmError(f"where holds conditions, not texts: write {_written(one)} for {one!r}.")

    @property
    def everything(self) -> bool:
        """Whether every passage is in the view."""
        return self.fraction == 1.0 and not self.domains and not self.where

    @property
    def columns(self) -> tuple[str, ...]:
        """The metadata columns that decide."""
        return tuple(condition.column for condition in self.where)

    def keep(self, rows: Columns) -> NDArray[np.bool_]:
        """Which of these rows are in the view: bool [n]."""
        kept = self.sampled(rows.keys)
        if self.domains:
            kept &= np.isin(np.asarray(rows.domains, object), self.domains)
        for condition in self.where:
            kept &= np.fromiter(map(condition.meets, rows.metadata(condition.column)), bool, len(kept))
        return kept

    @property
    def bound(self) -> np.uint64:
        """A passage is sampled if its hash lies below this; of no use at fraction 1."""
        return np.uint64(int(self.fraction * 2.0**64) if self.fraction < 1.0 else 2**64 - 1)

    def sampled(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which passages the fraction keeps: uint64 [n] -> bool [n]."""
        if self.fraction == 1.0:
            return np.ones(len(keys), bool)
        return mix(keys, self.seed) < self.bound

    def require_known(self, domains: Collection[str], columns: Collection[str]) -> None:
        """Raise RalmError for the first metadata column or domain of the view that is not among these."""
        for one in self.columns:
            if one not in columns:
                mend = did_you_mean(one, columns)
                if one == "domain":
                    mend = "; domains are chosen by --domain, of the API by the view's `domains`."
                raise RalmError(_no_such("metadata column", one, columns) + mend)
        for one in self.domains:
            if one not in domains:
                raise RalmError(_no_such("domain", one, domains) + did_you_mean(one, domains))


def _written(condition: str | Condition) -> str:
    return f'Condition.parse("{condition}")'


def _no_such(what: str, name: str, there: Collection[str]) -> str:
    listed = ", ".join(map(repr, sorted(there)[:_LISTED])) or "none"
    more = f" and {len(there) - _LISTED:,} more" if len(there) > _LISTED else ""
    return f"No passage has the {what} {name!r}: there are {listed}{more}"
