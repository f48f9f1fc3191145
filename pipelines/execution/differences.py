"""In what the settings of a job differ from those that it was begun with, in words.

Decisions: docs/decisions/laws-and-bytes.md.
"""

from collections.abc import Mapping
from typing import Any

from base.invalid import written


def differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what settings differ from those that a job was begun with: a phrase for each."""
    found: dict[str, str] = {}
    for name in begun:
        # How another encoder is used follows from which it is.
        if not (name.endswith("usage") and found.keys() & {"encoder", "query_encoder"}):
            found = _differ(name, begun[name], now.get(name)) | found
    return list(found.values())


def _differ(name: str, begun: Any, now: Any) -> dict[str, str]:
    """The settings that differ in one part of a job's, by name: a phrase for each."""
    if begun == now:
        return {}
    if name.endswith("_sha256"):
        name = name.removesuffix("_sha256")
        return {name: f"the weights of `{name}` have changed"}
    if name == "questions":
        return {name: "the files to decontaminate by have changed"}
    if name == "splits":
        return {name: "the source files or their sizes have changed"}
    if name == "ignored":
        return {name: "the files of kinds that ralm does not read have changed"}
    if isinstance(begun, dict) and isinstance(now, dict):
        # Settings stand on the first level of a file; how encoders are used is named as it is there.
        inside = "" if name in ("config", "usage", "query_usage") else f"{name}."
        names = sorted({*begun, *now})
        parts = [_differ(f"{inside}{one}", begun.get(one), now.get(one)) for one in names]
        return {key: phrase for part in parts for key, phrase in part.items()}
    if isinstance(begun, list):
        alike = isinstance(now, list) and len(now) == len(begun)
        pairs = list(zip(begun, now, strict=True)) if alike else []
        if not pairs or not all(isinstance(one, dict) for pair in pairs for one in pair):
            return {name: f"{name} have changed"}
        parts = [_differ(f"{name}.{n}", *pair) for n, pair in enumerate(pairs)]
        return {key: phrase for part in parts for key, phrase in part.items()}
    return {name: f"{name} was {_set(begun)}, now {_set(now)}"}


def _set(value: Any) -> str:
    """A setting's value as it is written in a file or behind an option."""
    if value is None:
        return "not set"
    return value if isinstance(value, str) and value.strip() == value != "" else written(value)
