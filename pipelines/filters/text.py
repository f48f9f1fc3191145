"""A document as filters look at it: words, lines and paragraphs, found once for all of them.

Words are what stands between white space, as in Dolma's taggers. What rules ask of a word is remembered by
word as one number, so that a word costs a look-up; all else is arithmetic on arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from datastore.schema import Document, Scalar

# The lowest bits of a word's number; the others are of its hash.
_LETTER, _SYMBOL, _FLAGS = 1, 2, 3
# Words remembered at once, some 150 bytes each.
_MOST_WORDS = 1 << 19


class _Numbers(dict[str, int]):
    """A 64-bit number for every word: its hash, and whether it has a letter or is a symbol."""

    def __missing__(self, word: str) -> int:
        letter = word.isalpha() or any(map(str.isalpha, word))
        symbol = not letter and not any(map(str.isalnum, word))
        digest = xxhash.xxh3_64_intdigest(word.encode(errors="surrogatepass"))
        number = digest & ~_FLAGS | letter * _LETTER | symbol * _SYMBOL
        self[word] = number
        return number


_numbers = _Numbers()


def hash_of(word: str) -> np.uint64:
    """The hash that a word has among `Words`."""
    return np.uint64(_numbers[word])


@dataclass(frozen=True, slots=True)
class Words:
    """What is known of a text's words, in order: [words] each.

    `lengths` int64, in characters; `hashes` uint64, equal for equal words.
    """

    lengths: NDArray[np.int64]
    hashes: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, body: str) -> "Words":
        """The words of a text."""
        if len(_numbers) > _MOST_WORDS:
            _numbers.clear()
        words = body.split()
        hashes = np.fromiter(map(_numbers.__getitem__, words), np.uint64, len(words))
        return cls(np.fromiter(map(len, words), np.int64, len(words)), hashes)

    @property
    def letters(self) -> NDArray[np.bool_]:
        """Whether each word has a letter."""
        found: NDArray[np.bool_] = self.hashes & np.uint64(_LETTER) != 0
        return found

    @property
    def symbols(self) -> NDArray[np.bool_]:
        """Whether each word has neither letter nor digit."""
        found: NDArray[np.bool_] = self.hashes & np.uint64(_SYMBOL) != 0
        return found


def n_gram_hashes(words: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Hashes of all n-grams of words with these hashes: [words - n + 1]; none of fewer than n words."""
    hashes = words
    for length in range(2, n + 1):
        hashes = longer(hashes, words, length)
    return hashes


def longer(hashes: NDArray[np.uint64], words: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Hashes of the n-grams, from those of the n-grams that are a word shorter."""
    return hashes[:-1] * _STEP + words[n - 1 :]


# Multiplies an n-gram's hash before a word is added: Knuth's constant for 64 bits, odd.
_STEP = np.uint64(6364136223846793005)


@dataclass(frozen=True)
class Text:
    """A document and what filters ask of it. `dropped` counts the lines that filters took out of it."""

    document: Document
    dropped: int = 0

    @property
    def body(self) -> str:
        return self.document.text

    @cached_property
    def words(self) -> Words:
        """What stands between white space."""
        return Words.of(self.body)

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
