"""JSON files: written atomically, in one order of keys, some with their checksum in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from base.errors import RalmError
from datastore.files.writing import atomic_write, checksum_of


def write_checked(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with its checksum in it."""
    write_json(path, {**content, "xxh3": checksum_of(to_json(content))})


def read_checked(path: Path) -> dict[str, Any]:
    """Read JSON that may hold its checksum. Raises RalmError if it is not what was written."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise RalmError(f"{path} is damaged (it holds no JSON object): restore it from a copy.")
    stated = found.pop("xxh3", None)
    if stated not in (None, checksum_of(to_json(found))):
        raise RalmError(f"{path} is damaged (its checksum differs): restore it from a copy.")
    return found


def to_json(content: Mapping[str, Any]) -> bytes:
    """JSON for a file; equal content gives equal bytes."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(content, option=options)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    data = to_json(content)
    atomic_write(path, lambda handle: handle.write(data))


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises RalmError if it does not parse."""
    return from_json(path.read_bytes(), path)


def from_json(data: bytes, path: object) -> Any:
    """What a file of JSON holds; `path` is what to call it. Raises RalmError if it does not parse."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RalmError(f"{path} is not valid JSON ({error}): the store is damaged there.") from None
