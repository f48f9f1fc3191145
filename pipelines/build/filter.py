"""Filters: each keeps a document or names why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from datastore.schema import Document
from datastore.takedown import Takedowns
from pipelines.config import BuildConfig


class Filter(Protocol):
    """A rule on one document. Its name is the folder under `removed/` and the key of its count."""

    name: ClassVar[str]

    def reason(self, document: Document) -> str | None:
        """Why the document is removed, or None to keep it."""


@dataclass(frozen=True, slots=True)
class MinimumLength:
    """Removes documents of fewer than `characters`, whitespace at the ends not counted."""

    name: ClassVar[str] = "too_short"
    characters: int

    def reason(self, document: Document) -> str | None:
        found = len(document.text.strip())
        return f"{found} characters, at least {self.characters}" if found < self.characters else None


@dataclass(frozen=True, slots=True)
class TakenDown:
    """Removes documents that are taken down."""

    name: ClassVar[str] = "taken_down"
    takedowns: Takedowns

    def reason(self, document: Document) -> str | None:
        return "it is taken down" if (document.domain, document.id) in self.takedowns else None


def filters(config: BuildConfig, takedowns: Takedowns) -> Sequence[Filter]:
    """The filters of a build, in the order they are asked."""
    return (TakenDown(takedowns), MinimumLength(config.min_chars))
