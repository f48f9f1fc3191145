"""What is not learnt from: questions and documents to measure a reader on, or that may not teach one.

A file of it is written before anything is tuned.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

from base.errors import RalmError


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Beginnings of the ids of questions and of documents."""

    prefixes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "HeldOut":
        """From JSON: `{"held_out": ["squad/Bridges/", ...]}`. Raises RalmError for another file."""
        try:
            found = orjson.loads(path.read_bytes())["held_out"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RalmError(f'{path} cannot be read as {{"held_out": ["prefix", ...]}} ({error}).') from None
        if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
            raise RalmError(f"`held_out` of {path} must be a list of beginnings of ids, each a text.")
        return cls(tuple(found))

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and id_.startswith(self.prefixes)
