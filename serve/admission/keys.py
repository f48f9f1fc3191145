"""Keys of the service: who may ask, and how often. Knows no HTTP.

A key is kept as its SHA-256. That is enough for keys as `ralm key` makes them: nobody guesses 256 random
bits, so no slow hash is needed, which every request would pay for.

Decisions: docs/decisions/serving.md.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base.errors import RalmError
from base.invalid import sentence
from base.numbers import dumps

_PREFIX = "ralm-"
_RANDOM_BYTES = 32
_HASH = re.compile(r"[0-9a-f]{64}")
# What a header can hold: letters that are seen.
_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Key:
    """Who may ask: a name for the log, the key's SHA-256 in hex, and requests a minute; None: any number."""

    name: str
    sha256: str
    per_minute: int | None = None

    @classmethod
    def of(cls, key: str, name: str) -> "Key":
        """A key as it is sent. Raises RalmError for one that no header can hold."""
        if not _SENDABLE.fullmatch(key):
            raise RalmError(
                "An API key must be printable ASCII without spaces: `ralm key NAME FILE` makes one."
            )
        return cls(name, sha256_of(key))

    def to_json(self) -> dict[str, str | int]:
        """As a line of a file of keys."""
        rate = {} if self.per_minute is None else {"per_minute": self.per_minute}
        return {"name": self.name, "sha256": self.sha256, **rate}


class _Line(BaseModel):
    """A line of a file of keys."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=100)
    sha256: str
    per_minute: int | None = Field(None, ge=1)


class Keys:
    """The keys that are let in; none: everybody is."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, sent: str) -> Key | None:
        """Whose key was sent. How long it takes tells nothing of any key."""
        given, found = sha256_of(sent), None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, given):
                found = key
        return found


def sha256_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def add_key(path: Path, name: str, per_minute: int | None = None) -> str:
    """Add a new random key to a file, which its owner alone may read, and give it as it is sent.

    Raises RalmError if the name is taken, or the file cannot be read or written.
    """
    sent = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    kept = Key(name, sha256_of(sent), per_minute)
    line = dumps(kept.to_json())
    require_names([*(read_keys(path) if path.exists() else ()), _key(line, "The new key")])
    try:
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8") as out:
            # An editor may have left the last line without its end; lines of white space are read over.
            out.write(f"\n{line}\n")
    except (OSError, ValueError) as error:
        raise RalmError(f"The file of keys {path} cannot be written: {error}.") from None
    return sent


def asked_for(given: Sequence[str], file: Path | None, wanted: bool) -> tuple[Key, ...]:
    """The keys that are given as they are sent, and those of a file.

    Raises RalmError for what is no key, and if there is none though some are `wanted`, as with a file.
    """
    named = [Key.of(one, f"api-key-{number}") for number, one in enumerate(given, 1)]
    found = (*named, *(read_keys(file) if file is not None else ()))
    if (file is not None or wanted) and not found:
        raise RalmError(
            "Keys are asked for and there is none, so that everybody might ask: `ralm key NAME FILE` "
            "adds one to a file, or leave --keys and RALM_API_KEY out."
        )
    return found


def read_keys(path: Path) -> list[Key]:
    """The keys of a file, a line of JSON each. Raises RalmError that names the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RalmError(f"The file of keys {path} cannot be read: {error}.") from None
    return [_key(line, f"{path.name}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _key(line: str, where: str) -> Key:
    try:
        content: Any = json.loads(line)
        found = _Line.model_validate(content)
    except ValidationError as error:
        raise RalmError(f"{where}: {sentence(_Line, error.errors(), 'a key', 'field of a key')}") from None
    except ValueError:
        raise RalmError(f"{where} is no JSON: `ralm key NAME FILE` writes such lines.") from None
    if not _HASH.fullmatch(found.sha256):
        raise RalmError(f"{where}: sha256 must be 64 hexadecimal digits: `ralm key NAME FILE` writes them.")
    return Key(found.name, found.sha256, found.per_minute)


def require_names(keys: Sequence[Key]) -> None:
    """Raise RalmError if two keys have one name: the log would not tell them apart."""
    names = [one.name for one in keys]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise RalmError(f"Two keys are called {twice!r}: give each a name of its own.")
