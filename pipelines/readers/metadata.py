"""What is kept of a record beside its text: scalars, to the digit, in so many bytes at most.

A passage carries the metadata of its document, so what is large here is copied to each of them.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from base.numbers import simplest
from datastore.schema import Scalar, dump_metadata

# A passage carries its document's metadata: what a document has of them is there as often as it has passages.
MAX_METADATA_BYTES = 16 * 2**10
# Dolma calls it `metadata`, RedPajama `meta`: an object of what else is known of a record.
NESTED = ("metadata", "meta")

# Asked of every field: a union would be made anew each time.
_PLAIN = (str, int)

Why = Literal["unreadable", "too_large"]


@dataclass(frozen=True, slots=True)
class Lost:
    """A field's value that its format holds and that cannot be read, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that is no metadata of its document though it is a scalar."""

    field: str
    why: Why
    reason: str


def metadata_of(fields: Mapping[str, Any], taken: set[str]) -> tuple[dict[str, Scalar], list[LeftOut]]:
    """The scalar fields of a record, and those of the object that `metadata` or `meta` holds, if any.

    A field of the record itself wins over one of the object's. Beside them those that cannot be read.
    """
    kept: dict[str, Scalar] = {}
    lost: dict[str, LeftOut] = {}
    nested = [fields[name] for name in NESTED if isinstance(fields.get(name), dict)]
    for one in (*nested, fields):
        for name, value in one.items():
            if one is fields and name in taken:
                continue
            if isinstance(value, _PLAIN):
                kept[name] = value
            elif isinstance(value, Lost):
                lost[name] = LeftOut(name, "unreadable", value.reason)
            elif value is not None and (found := scalar(value)) is not None:
                kept[name] = found
    return kept, [found for name, found in lost.items() if name not in kept]


def scalar(value: object) -> Scalar:
    """A value as metadata keep it; None for what they do not: lists, objects, bytes, NaN.

    Dates and times are ISO 8601, durations seconds.
    """
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str() | int():
            return value
        case Decimal():
            return simplest(value) if value.is_finite() else None
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return seconds(value // datetime.timedelta(microseconds=1), 6)
        case UUID():
            return str(value)
    return None


def seconds(ticks: int, digits: int) -> int | float | Decimal:
    """A duration of so many ticks, 10**digits of which are a second."""
    whole, rest = divmod(ticks, 10**digits)
    return simplest(Decimal(ticks).scaleb(-digits)) if rest else whole


def bounded(metadata: Mapping[str, Scalar], limit: int) -> tuple[Mapping[str, Scalar], list[LeftOut]]:
    """Metadata that take at most `limit` bytes as JSON, and what is left out for that: the largest fields."""
    if _fits(dump_metadata(metadata), limit):
        return metadata, []
    sizes = {name: len(dump_metadata({name: value}).encode()) - 1 for name, value in metadata.items()}
    size, left_out = sum(sizes.values()) + 1, []
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if size <= limit:
            break
        size -= sizes[name]
        reason = f"it has {sizes[name]:,} bytes and max_metadata_bytes allows a document {limit:,}"
        left_out.append(LeftOut(name, "too_large", reason))
    gone = {one.field for one in left_out}
    return {name: value for name, value in metadata.items() if name not in gone}, left_out


def _fits(spelled: str, limit: int) -> bool:
    # A character has at most four bytes.
    return 4 * len(spelled) <= limit or len(spelled.encode()) <= limit
