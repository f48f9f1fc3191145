"""What is taken out of a file of a word processor or a printer: its text and what it says of itself."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.readers.limits import more_than

if TYPE_CHECKING:
    from datastore.schema import Scalar  # Which loads much that the process that reads such files needs not.

# Neither text nor white space: of fonts without a table of characters, and hyphens for ends of lines.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\ufffe\uffff]")
_MOST_CHARACTERS = 1000
_MOST_LOST = 100


class NoDocumentError(Exception):
    """Why a file gives no document: a reason for its list."""


class LostPartError(NoDocumentError):
    """Why a part of a file cannot be read."""


@dataclass(frozen=True, slots=True)
class Extracted:
    """A file's text, a paragraph a line, its metadata, and the numbers of pages that are `lost`, and why."""

    text: str
    metadata: "dict[str, Scalar]" = field(default_factory=dict)
    lost: tuple[tuple[int, str], ...] = ()


class Paragraphs:
    """Paragraphs, gathered up to `limit` bytes in all, and what is lost of them."""

    def __init__(self, limit: int) -> None:
        self._limit, self._left = limit, limit
        self._found: list[str] = []
        self._lost: list[tuple[int, str]] = []

    def add(self, text: str) -> None:
        """Add one if it is not empty. Raises NoDocumentError if all together become too long."""
        if text := clean(text):
            self._left -= len(text.encode()) + 1
            if self._left < 0:
                raise NoDocumentError(too_long(self._limit))
            self._found.append(text)

    def lose(self, number: int, reason: str) -> None:
        """Note that a page cannot be read. Raises NoDocumentError if it is one of many."""
        self._lost.append((number, reason))
        if len(self._lost) > _MOST_LOST:
            raise NoDocumentError(
                f"more than {_MOST_LOST} of its pages cannot be read, the first: {self._lost[0][1]}"
            )

    def extracted(self, metadata: "dict[str, Scalar]", nothing: str) -> Extracted:
        """All of them. Raises NoDocumentError, with this reason for `nothing`, if there are none."""
        if not self._found:
            raise NoDocumentError(self._lost[0][1] if self._lost else nothing)
        return Extracted("\n".join(self._found), metadata, tuple(self._lost))


def too_long(limit: int) -> str:
    """The reason for a text that is too long."""
    return more_than("its text has", limit)


def clean(text: str) -> str:
    """A text without control characters, lone surrogates and blanks around it."""
    return _CONTROLS.sub("", text.encode(errors="ignore").decode()).strip()


def described(found: "Iterable[tuple[str, str | None]]") -> "dict[str, Scalar]":
    """Metadata of what is said; several values of one name are joined by commas."""
    said: dict[str, list[str]] = {}
    for name, value in found:
        value = clean(" ".join((value or "").split()))[:_MOST_CHARACTERS]
        if value and value not in said.setdefault(name, []):
            said[name].append(value)
    return {name: ", ".join(values) for name, values in said.items() if values}
