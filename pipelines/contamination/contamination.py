"""Decontamination: which passages hold the text of evaluation questions, or of their answers.

The questions' n-grams of words are hashed once, into one file that the store keeps: a passage is found out by
its own n-grams' hashes, and an addition is checked by the same file when the questions are long gone.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.writing import FileInfo
from datastore.schema import Passage
from pipelines.contamination.evaluation_texts import LEFT_OUT, SCHEMA, Part
from pipelines.contamination.word_hashes import word_hashes
from pipelines.execution.stage import REMOVED_SAMPLE, RemovedLog
from pipelines.filters.words import longer, n_gram_hashes
from retriever.words import words

# Counts of passages: dropped, and dropped for a file, by its name.
CONTAMINATED = "dropped.contaminated"
BY = "contaminated_by."

# Places for each head in the table that is asked first: one n-gram in so many is looked at closer in vain.
_PLACES = 64


@dataclass(frozen=True, slots=True)
class Found:
    """An evaluation text that a passage holds: file, the question's id, and the share of its n-grams.

    `span` is the longest row of the passage's words, [begin, end), whose n-grams are all the text's.
    """

    file: str
    question: str
    part: Part
    share: float
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sought:
    """A file of questions: how many questions and answers it has, and how many are long enough to seek.

    Of its lines so many were `left_out` as no questions; `lines` are the numbers of the first of these.
    """

    file: str
    texts: int
    sought: int
    left_out: int = 0
    lines: tuple[int, ...] = ()

    @property
    def warning(self) -> str | None:
        """Says which lines were left out; None if none was."""
        if not self.left_out:
            return None
        named = ", ".join(f"{line:,}" for line in self.lines) + (
            ", ..." if self.left_out > len(self.lines) else ""
        )
        lines, them = ("line", "it") if self.left_out == 1 else ("lines", "them")
        return (
            f"Of {self.file} {self.left_out:,} {lines} could not be read as questions ({named}): what stands "
            f"in {them} is not looked for in passages."
        )


class Contamination:
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
    def open(cls, path: Path) -> "Contamination":
        """Open the table of a store."""
        return cls(_read(path))

    @classmethod
    def opened(cls, path: Path) -> "Contamination":
        """The same, opened once in each process, which has many tasks."""
        return _open_once(path, path.stat().st_mtime_ns)

    @property
    def files(self) -> list[str]:
        """The files that the texts are of."""
        found: list[str] = self._table.column("file").unique().to_pylist()
        return found

    def found(self, passages: Sequence[str]) -> list[list[Found]]:
        """The evaluation texts that each passage holds, of each file the one that it holds most of.

        Quicker for many passages at once: most take part in nothing but one look at all their words.
        """
        hashes = [word_hashes(passage) for passage in passages]
        ends = np.cumsum([len(one) for one in hashes], dtype=np.int64)
        found: list[list[Found]] = [[] for _ in passages]
        if not len(self._heads) or not len(ends):
            return found
        begins = self._begins(np.concatenate(hashes))
        of = np.searchsorted(ends, begins, side="right")
        for at in np.unique(of).tolist():
            local = begins[of == at] - (ends[at] - len(hashes[at]))
            found[at] = self._of_one(hashes[at], local)
        return found

    def _of_one(self, hashes: NDArray[np.uint64], begins: NDArray[np.int64]) -> list[Found]:
        held = self._held(hashes, begins)
        # An n-gram stands in the table once for each text that has it.
        low, high = (np.searchsorted(self._grams, held, side) for side in ("left", "right"))
        places = [self._texts[a:b] for a, b in zip(low, high, strict=True)]
        texts, counts = np.unique(np.concatenate([np.empty(0, np.int64), *places]), return_counts=True)
        enough = counts >= self._needed[texts]
        best: dict[str, Found] = {}
        for text, count in zip(texts[enough].tolist(), counts[enough].tolist(), strict=True):
            file, question, part = (self._table.column(name)[text].as_py() for name in SCHEMA.names[:3])
            share = count / int(self._sizes[text])
            if file not in best or share > best[file].share:
                best[file] = Found(file, question, part, share, self._span(text, hashes))
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
def _open_once(path: Path, _changed: int) -> Contamination:
    return Contamination.open(path)


class Contaminated:
    """What one task drops for the evaluation texts that it holds; nothing without a table.

    `counts` are of passages: all that are dropped, and those that each file alone would have cost. A passage
    that two files have text in counts for both.
    """

    def __init__(self, layout: Layout, number: int, table: Path | None) -> None:
        self._texts = Contamination.opened(table) if table else None
        self._log = RemovedLog(layout, number)
        self.counts: dict[str, int] = {}
        if self._texts:
            self.counts = dict.fromkeys([CONTAMINATED, *(f"{BY}{file}" for file in self._texts.files)], 0)

    def without(self, passages: Sequence[Passage]) -> list[bool]:
        """Which passages stay; the others are counted and, some for each file, listed."""
        if self._texts is None:
            return [True] * len(passages)
        found = self._texts.found([passage.text for passage in passages])
        for passage, held in zip(passages, found, strict=True):
            if held:
                self._drop(passage, held)
        return [not held for held in found]

    def _drop(self, passage: Passage, held: list[Found]) -> None:
        files = [f"{BY}{one.file}" for one in held]
        listed = any(self.counts[file] < REMOVED_SAMPLE for file in files)
        for name in (CONTAMINATED, *files):
            self.counts[name] += 1
        line: dict[str, Any] = {"domain": passage.domain, "id": passage.doc_id, "chunk": passage.chunk}
        if listed:
            line |= {"holds": [_in_words(one, words(passage.text)) for one in held]}
        self._log.add("contaminated_passage", line, None if listed else 0)

    def write(self) -> list[FileInfo]:
        """Write what is listed."""
        return self._log.write()


def _in_words(found: Found, held: Sequence[str]) -> dict[str, Any]:
    """What is listed of an evaluation text that a passage with these words holds."""
    begin, end = found.span
    line = asdict(found) | {"words": " ".join(held[begin:end])}
    return {name: value for name, value in line.items() if name != "span"}


def _among(ascending: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of the wanted numbers are in an ascending array that is not empty."""
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    found: NDArray[np.bool_] = ascending[at] == wanted
    return found


def _read(path: Path) -> pa.RecordBatch:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        return file.get_batch(0)


def sought(path: Path) -> list[Sought]:
    """What is sought of each file of questions, by a store's table."""
    return sought_by(_read(path))


def sought_by(table: pa.RecordBatch) -> list[Sought]:
    """The same of a table that is made and not written yet."""
    found: dict[str, list[int]] = {}
    for file, n in zip(table.column("file").to_pylist(), table.column("words").to_pylist(), strict=True):
        found.setdefault(file, []).append(n)
    bad = orjson.loads(table.schema.metadata.get(LEFT_OUT.encode(), b"{}"))
    parts = {file: (count, tuple(lines)) for file, (count, *lines) in bad.items()}
    return [
        Sought(file, len(each), sum(n > 0 for n in each), *parts.get(file, ()))
        for file, each in found.items()
    ]
