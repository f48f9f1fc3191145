"""View: which passages count, the same for every query.

A passage is in or out by a hash of its key and the seed, never by a sequential draw, so a view of a
smaller fraction is contained in one of a larger fraction with the same seed; and by what is kept of
its document: domain and metadata. A View never depends on the query.

Decisions: docs/decisions/identity-and-metadata.md, searching.md.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from base.names import did_you_mean
from datastore.conditions import Clause, Columns

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


@dataclass(frozen=True, slots=True)
class View:
    """A subset of a datastore's passages.

    A `fraction` in (0, 1] of them, sampled by `seed`; of some `domains` (empty: all); that meet every
    condition of `where` (date ranges, licences, quality scores: whatever metadata the records had).
    """

    fraction: float = 1.0
    seed: int = 0
    domains: tuple[str, ...] = ()
    where: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction <= 1.0:
            raise RalmError(f"A view's fraction must be above 0 and at most 1, not {self.fraction}.")
        if isinstance(self.domains, str):
            raise RalmError(f"domains is a tuple of names: write domains=({self.domains!r},).")
        if not isinstance(self.where, tuple):
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
        return tuple(column for clause in self.where for column in clause.columns)

    def keep(self, rows: Columns) -> NDArray[np.bool_]:
        """Which of these rows are in the view: bool [n]."""
        kept = self.sampled(rows.keys)
        if self.domains:
            kept &= np.isin(np.asarray(rows.domains, object), self.domains)
        for clause in self.where:
            kept &= clause.keep(rows)
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


def _written(condition: object) -> str:
    return f'Condition.parse("{condition}")'


def _no_such(what: str, name: str, there: Collection[str]) -> str:
    listed = ", ".join(map(repr, sorted(there)[:_LISTED])) or "none"
    more = f" and {len(there) - _LISTED:,} more" if len(there) > _LISTED else ""
    return f"No passage has the {what} {name!r}: there are {listed}{more}"
