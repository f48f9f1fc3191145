"""What is wrong with settings or with a request, in one sentence that names the setting and the mend.

Knows pydantic's kinds of errors, so that nobody has to read its words for them.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, get_args

import orjson
from pydantic import BaseModel

from base.amounts import amount
from base.names import did_you_mean, nearest

# Characters of a value that is shown.
_SHOWN = 80
# What a value should have been, by how pydantic's names of wrong types begin.
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
_WRONG_TYPE = ("_type", "_parsing", "_parsing_size", "_from_float")
# What is said of an error whatever the setting and its value.
_DEMANDS = {
    "missing": "is missing: give it.",
    "union_tag_not_found": "has no name: give it.",
    "invalid_key": "is no setting: names are text.",
}
_BOUNDS = {
    "finite_number": "must be a number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an error is: its path as people write it, and the settings that there are at that level."""

    path: str
    names: tuple[str, ...]


def sentence(
    model: type[BaseModel], errors: Sequence[Mapping[str, Any]], whole: str, part: str = "setting"
) -> str:
    """The worst of a model's errors, as pydantic lists them.

    `whole` is what to call all of its content, `part` what to call one name of it.
    A setting that there is not comes first: another one may be missing for no other reason than its name.
    """
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    place = _place(model, first)
    under = [one for one in errors if _is_under(_place(model, one).path, place.path)]
    if first["type"] != "extra_forbidden" and first["loc"] and _is_type(first["loc"][-1]):
        # Of a setting of several types, what is wrong inside tells which one was meant.
        first = max(under, key=lambda one: len(one["loc"]))
        place = _place(model, first)
    where = place.path or whole
    if first["type"] == "value_error":
        return f"{where}: {str(first['ctx']['error']).removesuffix('.')}."
    if first["type"] == "json_invalid":
        return f"{whole} is no JSON: {first['ctx']['error']}."
    kinds = [_kind(one["type"]) for one in under if _place(model, one).path == place.path]
    if _kind(first["type"]):
        return f"{where} must be {' or '.join(dict.fromkeys(kinds))}, not {written(first['input'])}."
    return f"{where} {_demand(first, place, part)}"


def _is_under(path: str, other: str) -> bool:
    return not other or f"{path}.".startswith(f"{other}.")


def _kind(error: str) -> str:
    """What a value of a wrong type should have been; empty for other errors."""
    return _KINDS.get(error.partition("_")[0], "") if error.endswith(_WRONG_TYPE) else ""


def _demand(error: Mapping[str, Any], place: _Place, part: str) -> str:
    """What a setting must be, behind its name."""
    kind, context, value = error["type"], error.get("ctx", {}), written(error.get("input"))
    if kind in _DEMANDS:
        return _DEMANDS[kind]
    if kind == "extra_forbidden":
        if meant := nearest(place.path.rpartition(".")[2], place.names):
            return f"is no {part}: did you mean {meant}?"
        return f"is no {part}: valid are {', '.join(place.names)}."
    if kind == "literal_error":
        there = re.findall(r"'([^']*)'", context["expected"])
        near = did_you_mean(error["input"], there) if isinstance(error["input"], str) else "."
        return f"must be {context['expected']}, not {value}{near}"
    if kind == "union_tag_invalid":
        valid = context["expected_tags"].replace("'", "")
        near = did_you_mean(str(context["tag"]), valid.split(", "))
        return f"has an unknown name, '{context['tag']}': valid are {valid}{near}"
    if kind in _BOUNDS:
        bounds = {name: int(bound) if bound == int(bound) else bound for name, bound in context.items()}
        return f"{_BOUNDS[kind].format(**bounds)}, not {value}."
    if kind.endswith("too_short"):
        return f"must have at least {_entries(context['min_length'], kind)}."
    if kind.endswith("too_long"):
        return f"must have at most {_entries(context['max_length'], kind)}."
    return f"is not valid: {value}."


def _entries(number: int, kind: str) -> str:
    return amount(number, "characters" if kind.startswith("string") else "entries")


def is_unicode(text: str) -> bool:
    """Whether text is Unicode: JSON's escapes and a terminal's bytes can hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def written(value: Any) -> str:
    """A value as it is written in YAML, JSON and options alike; a long one cut."""
    if value is None:
        return "nothing"
    text = str(value) if isinstance(value, Decimal) else repr(value)
    # JSON has no such numbers as NaN or 2^64, and no text that is no Unicode.
    if not isinstance(value, str | Decimal) and not (isinstance(value, float) and not isfinite(value)):
        with suppress(TypeError):
            text = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


def _place(root: type[BaseModel], error: Mapping[str, Any]) -> _Place:
    """Follow an error's location through the models; names of types and of kinds of a model are left out."""
    level = models = [root]
    path = []
    location: tuple[str | int, ...] = error["loc"]
    # A name that is no setting is what somebody wrote, even if a type or a kind is called so.
    unknown = location[-1:] if error["type"] == "extra_forbidden" else ()
    for part in location[: len(location) - len(unknown)]:
        fields = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        if fields:
            level, models = models, [found for field in fields for found in _models(field)]
        elif of_kind := [model for model in models if _name(model) == part]:
            models = of_kind
            continue
        elif not isinstance(part, int):
            level = models  # The name of a type.
        if not _is_type(part):
            path.append(str(part))
    if unknown:
        level = models
        path.append(str(unknown[0]))
    names = dict.fromkeys(name for model in level for name in model.model_fields)
    return _Place(".".join(path), tuple(names))


def _is_type(part: str | int) -> bool:
    """Whether a part of a location names a type of a setting that may have several: pydantic mixes them."""
    return isinstance(part, str) and (part == "str" or "[" in part)


def _name(model: type[BaseModel]) -> Any:
    """What one of several models is chosen by, such as a filter."""
    name = model.model_fields.get("name")
    return name.default if name is not None else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a setting may hold, one or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]
