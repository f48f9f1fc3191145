"""Filters as OpenAI's vector stores take them, to conditions on passages' metadata.

`{"type": "gte", "key": "year", "value": 1900}` compares, `{"type": "and", "filters": [...]}` and `or` join.
Knows no store.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from base.invalid import is_unicode, written
from base.names import did_you_mean
from datastore.conditions import AllOf, AnyOf, Clause, Condition

_SIGNS = {"eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LISTS = {"in": "=", "nin": "!="}
_TYPES = (*_SIGNS, *_LISTS, "and", "or")
# Conditions of a filter: each is asked of every passage. And how deep groups may lie in groups.
MAX_CONDITIONS, MAX_DEPTH = 100, 10


def clauses_of(filters: Mapping[str, Any]) -> tuple[Clause, ...]:
    """What all must be met. Raises ValueError for what is no filter, RalmError for no comparison."""
    clause = _clause(filters, 1)
    _few(range(_size(clause)))
    return clause.parts if isinstance(clause, AllOf) else (clause,)


def _size(clause: Clause) -> int:
    return 1 if isinstance(clause, Condition) else sum(map(_size, clause.parts))


def _clause(one: Any, depth: int) -> Clause:
    if not isinstance(one, Mapping):
        raise ValueError(f"a filter is a mapping with a type, not {written(one)}")
    if depth > MAX_DEPTH:
        raise ValueError(f"filters may lie {MAX_DEPTH} deep in each other, not deeper")
    kind = one.get("type")
    if kind in ("and", "or"):
        _require(one, {"type", "filters"})
        parts = one["filters"]
        if not isinstance(parts, list) or not parts:
            raise ValueError(f"`filters` of {kind!r} must be a list of at least one filter")
        _few(parts)
        found = tuple(_clause(part, depth + 1) for part in parts)
        return AllOf(found) if kind == "and" else AnyOf(found)
    if kind not in _TYPES:
        near = did_you_mean(kind, _TYPES) if isinstance(kind, str) else "."
        raise ValueError(f"the type of a filter is one of {', '.join(_TYPES)}, not {written(kind)}{near}")
    _require(one, {"type", "key", "value"})
    return _comparison(kind, one["key"], one["value"])


def _few(parts: Sequence[Any]) -> None:
    """Raise ValueError for more conditions than a filter may have: before they are read, if that is known."""
    if len(parts) > MAX_CONDITIONS:
        raise ValueError(f"a filter may have at most {MAX_CONDITIONS} conditions, `in` one for each value")


def _require(one: Mapping[str, Any], names: set[str]) -> None:
    if lacking := sorted(names - set(one)):
        raise ValueError(f"a filter of type {one['type']!r} needs {' and '.join(lacking)}")
    if unknown := sorted(set(one) - names):
        near = did_you_mean(unknown[0], names)
        raise ValueError(f"{written(unknown[0])} is no field of a filter of type {one['type']!r}{near}")


def _comparison(kind: str, key: Any, value: Any) -> Clause:
    if not isinstance(key, str) or not key or not is_unicode(key):
        raise ValueError(f"the key of a filter is the name of a metadata column, not {written(key)}")
    if kind in _SIGNS:
        return Condition(key, _SIGNS[kind], _text(value, key))
    if not isinstance(value, list) or not value:
        raise ValueError(f"{kind!r} of {key!r} takes a list of at least one value, not {written(value)}")
    _few(value)
    found = tuple(Condition(key, _LISTS[kind], _text(each, key)) for each in value)
    return AnyOf(found) if kind == "in" else AllOf(found)


def _text(value: Any, key: str) -> str:
    """A value as conditions are written: a number by its digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and is_unicode(value):
        return value
    takes: Sequence[str] = ("text", "a number", "true or false")
    raise ValueError(f"{key!r} is compared with {', '.join(takes)}, not with {written(value)}")
