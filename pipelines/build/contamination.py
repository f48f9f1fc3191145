"""Decontamination: which passages hold the text of evaluation questions, or of their answers.

The questions' n-grams of words are hashed once, into one file that the store keeps: a passage is found out by
its own n-grams' hashes, and an addition is checked by the same file when the questions are long gone.

A text of fewer than n words counts as one n-gram of all its words; a still shorter one, which may stand
anywhere ("the United States"), is not looked for. Published practice is 13 words: GPT-3 takes 8 to 13, by
how long the examples are (Brown et al. 2020, appendix C), Dolma drops paragraphs of evaluation sets of 13
tokens and more (Soldaini et al. 2024), MassiveDS asks for likeness in 13-grams or 32 words in a row (Shao et
al. 2024).
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.layout import FileInfo, Layout
from datastore.schema import Passage
from pipelines.build.sources import source_names
from pipelines.build.stage import REMOVED_SAMPLE, RemovedLog
from pipelines.config import Decontamination
from pipelines.evaluate.questions import load_questions
from pipelines.filters.words import longer, n_gram_hashes
from retriever.words import words

Part = Literal["question", "answer"]

# Counts of passages: dropped, and dropped for a file, by its name.
CONTAMINATED = "dropped.contaminated"
BY = "contaminated_by."

_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("question", pa.string()),
        ("part", pa.string()),
        # Of the n-grams, and how many of them a passage must hold; neither of a text that is too short.
        ("words", pa.int32()),
        ("needed", pa.int32()),
        # Distinct n-grams, and of each the hash of its first words: as many as the shortest n-gram has.
        ("grams", pa.list_(pa.uint64())),
        ("heads", pa.list_(pa.uint64())),
    ]
)
# Tokens remembered at once, some 200 bytes each.
_MOST_TOKENS = 1 << 19
# Places for each head in the table that is asked first: one n-gram in so many is looked at closer in vain.
_PLACES = 64


class _Tokens(dict[str, bytes]):
    """What stands between white space, to the hashes of its words, 8 bytes each: "don't" has two, "-" none.

    A word is as `retriever.words` has it; to find the words of a whole text there took half as long again.
    """

    def __missing__(self, token: str) -> bytes:
        if token[-1:] in (",", "."):
            digests = self[token[:-1]]
        elif (lowered := token.lower()).isalnum():
            digests = _digest(lowered)
        else:
            digests = b"".join(map(_digest, words(token)))
        self[token] = digests
        return digests


def _digest(word: str) -> bytes:
    return xxhash.xxh3_64_digest(word.encode(errors="surrogatepass"))


_tokens = _Tokens()


def word_hashes(text: str) -> NDArray[np.uint64]:
    """A hash for each word of a text: uint64 [words]."""
    if len(_tokens) > _MOST_TOKENS:
        _tokens.clear()
    found: NDArray[np.uint64] = np.frombuffer(b"".join(map(_tokens.__getitem__, text.split())), "<u8")
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """An evaluation text that a passage holds: file, the question's id, and the share of its n-grams.

    `stretch` is the longest row of the passage's words, [begin, end), whose n-grams are all the text's.
    """

    file: str
    question: str
    part: Part
    share: float
    stretch: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sought:
    """A file of questions: how many questions and answers it has, and how many are long enough to seek."""

    file: str
    texts: int
    sought: int


def question_files(settings: Decontamination) -> dict[str, str]:
    """What the files of questions are called, with a hash of what is in each.

    Raises RalmError for one that is not there or given twice.
    """
    for file in settings.files:
        if not Path(file).is_file():
            raise RalmError(f"There is no question file {file}: name one of JSON Lines with --decontaminate.")
    names = source_names(settings.files)
    return {
        name: xxhash.xxh3_128_hexdigest(Path(file).read_bytes())
        for name, file in zip(names, settings.files, strict=True)
    }


def make_table(settings: Decontamination) -> pa.RecordBatch:
    """The table of the files' texts. Raises RalmError naming the file and line that is wrong."""
    schema = _SCHEMA.with_metadata({"shortest": str(settings.shortest)})
    columns = zip(*_rows(settings), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _rows(settings: Decontamination) -> Iterator[tuple[Any, ...]]:
    """A row of the table for every question and answer, too short or not."""
    names = source_names(settings.files)
    for name, file in zip(names, settings.files, strict=True):
        for question in load_questions(Path(file), scored=False):
            yield _row(settings, name, question.id, "question", question.text)
            # Answers are often spelled several times alike.
            for answer in dict.fromkeys(question.answers):
                yield _row(settings, name, question.id, "answer", answer)


def _row(settings: Decontamination, file: str, question: str, part: Part, text: str) -> tuple[Any, ...]:
    hashes = word_hashes(text)
    least = settings.min_question_words if part == "question" else settings.min_answer_words
    if len(hashes) < least:
        return file, question, part, 0, 0, [], []
    n = min(settings.words, len(hashes))
    grams, first = np.unique(n_gram_hashes(hashes, n), return_index=True)
    heads = n_gram_hashes(hashes, settings.shortest)[first]
    return file, question, part, n, settings.needed(len(grams)), grams, heads


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
            file, question, part = (self._table.column(name)[text].as_py() for name in _SCHEMA.names[:3])
            share = count / int(self._sizes[text])
            if file not in best or share > best[file].share:
                best[file] = Found(file, question, part, share, self._stretch(text, hashes))
        return list(best.values())

    def _stretch(self, text: int, hashes: NDArray[np.uint64]) -> tuple[int, int]:
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
    begin, end = found.stretch
    line = asdict(found) | {"words": " ".join(held[begin:end])}
    return {name: value for name, value in line.items() if name != "stretch"}


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
    table = _read(path)
    found: dict[str, list[int]] = {}
    for file, n in zip(table.column("file").to_pylist(), table.column("words").to_pylist(), strict=True):
        found.setdefault(file, []).append(n)
    return [Sought(file, len(each), sum(n > 0 for n in each)) for file, each in found.items()]
