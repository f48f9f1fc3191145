"""A document as filters look at it: words, lines and paragraphs, found once for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from datastore.schema import Document, Scalar
from pipelines.filters.words import Words, words_of


@dataclass(frozen=True)
class Text:
    """A document and what filters ask of it. `dropped` counts the lines that filters took out of it."""

    document: Document
    dropped: int = 0

    @classmethod
    def several(cls, documents: Sequence[Document]) -> "list[Text]":
        """Texts whose words are found together, which is quicker than one after another."""
        texts = [cls(document) for document in documents]
        for text, words in zip(texts, words_of([text.body for text in texts]), strict=True):
            text.__dict__["words"] = words  # What `cached_property` would set: the text itself is frozen.
        return texts

    @property
    def body(self) -> str:
        return self.document.text

    @cached_property
    def words(self) -> Words:
        """What stands between white space."""
        (words,) = words_of([self.body])
        return words

    @cached_property
    def lines(self) -> list[str]:
        """Lines, also empty ones, without their ends."""
        return self.body.splitlines()

    @cached_property
    def filled_lines(self) -> list[str]:
        """What stands between one or more line feeds."""
        found = [line for line in self.body.split("\n") if line]
        # A line feed at either end stands beside an empty line.
        return [""] * self.body.startswith("\n") + found + [""] * (self.body.endswith("\n") or not self.body)

    @cached_property
    def paragraphs(self) -> list[str]:
        """What stands between empty lines."""
        body = self.body.strip()
        return [found for part in body.split("\n\n") if (found := part.lstrip("\n"))] or [""]

    def with_body(self, body: str, dropped: int = 0) -> "Text":
        """The same document with another text, for which so many lines were dropped."""
        if body == self.body:
            return self
        return Text(replace(self.document, text=body), self.dropped + dropped)

    def with_metadata(self, added: Mapping[str, Scalar]) -> "Text":
        """The same text with more metadata."""
        labelled = Text(replace(self.document, metadata={**self.document.metadata, **added}), self.dropped)
        # What was computed of the text holds for it still.
        labelled.__dict__.update({k: v for k, v in self.__dict__.items() if k != "document"})
        return labelled


def duplicates(parts: list[str]) -> tuple[int, int]:
    """How many of the parts repeat an earlier one, and how many characters those have."""
    if len(parts) == len(set(parts)):
        return 0, 0
    seen: set[str] = set()
    count = characters = 0
    for part in parts:
        if part in seen:
            count += 1
            characters += len(part)
        else:
            seen.add(part)
    return count, characters
