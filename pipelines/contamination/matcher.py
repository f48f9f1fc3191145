"""Which evaluation texts passages hold: questions, or their answers.

The texts' n-grams of words are hashed once, into one file that the store keeps: a passage is found out by
its own n-grams' hashes, and an addition is checked by the same file when the questions are long gone.

Decisions: docs/decisions/contamination.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.contamination.table import SCHEMA, QuestionPart, read_table
from pipelines.contamination.word_hashes import word_hashes
from pipelines.filters.words import longer, n_gram_hashes

# Places for each head in the table that is asked first: one n-gram in so many is looked at closer in vain.
_PLACES = 64


@dataclass(frozen=True, slots=True)
class Match:
    """An evaluation text that a passage holds: file, the question's id, and the share of its n-grams.

    `span` is the longest row of the passage's words, [begin, end), whose n-grams are all the text's.
    """

    file: str
    question: str
    part: QuestionPart
    share: float
    span: tuple[int, int]


class Matcher:
    """The evaluation texts of a store's table, laid out to check passages by."""

    def __init__(self, table: pa.RecordBatch) -> None:
        """A table as `make_table` made it."""
        self._table = table
        self._shortest = int(table.schema.metadata[b"shortest"])
        self._needed = table.column("needed").to_numpy()
        grams = table.column("grams")
        hashes, sizes = grams.flatten().to_numpy(), np.diff(grams.offsets.to_numpy())
        order = np.argsort(hashes, kind="stable")
        # Text i has an n-gram wherever `_texts` is i: ascending n-grams, each with all texts that have it.
        self._grams = hashes[order]
        self._texts = np.repeat(np.arange(table.num_rows), sizes)[order]
        self._sizes = sizes
        self._lengths = frozenset(table.column("words").to_numpy()[sizes > 0].tolist())
        self._heads = np.unique(table.column("heads").flatten().to_numpy())
        bits = max(1, (_PLACES * len(self._heads)).bit_length())
        self._shift = np.uint64(64 - bits)
        self._places = np.zeros(1 << bits, bool)
        self._places[self._heads >> self._shift] = True

    @classmethod
    def open(cls, path: Path) -> "Matcher":
        """Open the table of a store."""
        return cls(read_table(path))

    @classmethod
    def opened(cls, path: Path) -> "Matcher":
        """The same, opened once in each process, which has many tasks."""
        return _open_once(path, path.stat().st_mtime_ns)

    @property
    def files(self) -> list[str]:
        """The files that the texts are of."""
        found: list[str] = self._table.column("file").unique().to_pylist()
        return found

    def matches(self, passages: Sequence[str]) -> list[list[Match]]:
        """The evaluation texts that each passage holds, of each file the one that it holds most of.

        Quicker for many passages at once: most take part in nothing but one look at all their words.
        """
        hashes = [word_hashes(passage) for passage in passages]
        ends = np.cumsum([len(one) for one in hashes], dtype=np.int64)
        found: list[list[Match]] = [[] for _ in passages]
        if not len(self._heads) or not len(ends):
            return found
        begins = self._begins(np.concatenate(hashes))
        of = np.searchsorted(ends, begins, side="right")
        for at in np.unique(of).tolist():
            local = begins[of == at] - (ends[at] - len(hashes[at]))
            found[at] = self._of_one(hashes[at], local)
        return found

    def _of_one(self, hashes: NDArray[np.uint64], begins: NDArray[np.int64]) -> list[Match]:
        held = self._held(hashes, begins)
        # An n-gram stands in the table once for each text that has it.
        low, high = (np.searchsorted(self._grams, held, side) for side in ("left", "right"))
        places = [self._texts[a:b] for a, b in zip(low, high, strict=True)]
        texts, counts = np.unique(np.concatenate([np.empty(0, np.int64), *places]), return_counts=True)
        enough = counts >= self._needed[texts]
        best: dict[str, Match] = {}
        for text, count in zip(texts[enough].tolist(), counts[enough].tolist(), strict=True):
            file, question, part = (self._table.column(name)[text].as_py() for name in SCHEMA.names[:3])
            share = count / int(self._sizes[text])
            if file not in best or share > best[file].share:
                best[file] = Match(file, question, part, share, self._span(text, hashes))
        return list(best.values())

    def _span(self, text: int, hashes: NDArray[np.uint64]) -> tuple[int, int]:
        """Where a passage's longest row of words lies whose n-grams are all a text's."""
        n = self._table.column("words")[text].as_py()
        grams = self._table.column("grams")[text].values.to_numpy()
        held = np.flatnonzero(np.isin(n_gram_hashes(hashes, n), grams))
        longest = max(np.split(held, np.flatnonzero(np.diff(held) > 1) + 1), key=len)
        return int(longest[0]), int(longest[-1]) + n

    def _begins(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where an evaluation n-gram may begin, by its first words: hardly anywhere in most passages.

        Also where its first words are the last of one passage and the first of the next.
        """
        heads = n_gram_hashes(hashes, self._shortest)
        maybe = np.flatnonzero(self._places[heads >> self._shift])
        return maybe[_among(self._heads, heads[maybe])]

    def _held(self, hashes: NDArray[np.uint64], begins: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The distinct evaluation n-grams that begin at these words."""
        found = [np.empty(0, np.uint64)]
        grams = hashes
        for length in range(1, max(self._lengths) + 1):
            grams = hashes if length == 1 else longer(grams, hashes, length)
            if length in self._lengths:
                mine = grams[begins[begins < len(grams)]]
                found.append(mine[_among(self._grams, mine)])
        return np.unique(np.concatenate(found))


@lru_cache(maxsize=1)
def _open_once(path: Path, _changed: int) -> Matcher:
    return Matcher.open(path)


def _among(ascending: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of the wanted numbers are in an ascending array that is not empty."""
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[at] == wanted
    return found
