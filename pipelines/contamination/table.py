"""Evaluation questions and their answers as one table of n-grams, hashed: all that a store keeps of them.

A text of fewer than n words counts as one n-gram of all its words; a still shorter one, which may stand
anywhere ("the United States"), is not looked for. Published practice is 13 words: GPT-3 takes 8 to 13, by
how long the examples are (Brown et al. 2020, appendix C), Dolma drops paragraphs of evaluation sets of 13
tokens and more (Soldaini et al. 2024), MassiveDS asks for likeness in 13-grams or 32 words in a row (Shao et
al. 2024).

Decisions: docs/decisions/contamination.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
import xxhash

from base.errors import RalmError
from pipelines.config import EvaluationTexts
from pipelines.contamination.word_hashes import word_hashes
from pipelines.corpus.source_names import source_names
from pipelines.filters.words import n_gram_hashes
from pipelines.questions import QuestionFile, read_questions

QuestionPart = Literal["question", "answer"]

# What a table says beside its rows: for each file with lines that are no questions how many, then the first.
LINES_LEFT_OUT = "left_out"
SCHEMA = pa.schema(
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


def question_files(settings: EvaluationTexts) -> dict[str, str]:
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


def make_table(settings: EvaluationTexts) -> pa.RecordBatch:
    """The table of the files' texts, which also says which of their lines are no questions.

    Raises RalmError for a file that holds no question.
    """
    names = source_names(settings.files)
    files = {
        name: read_questions(Path(file), scored=False)
        for name, file in zip(names, settings.files, strict=True)
    }
    metadata = {"shortest": str(settings.shortest)}
    if bad := {
        name: [one.left_out, *(o.line for o in one.first)] for name, one in files.items() if one.left_out
    }:
        metadata[LINES_LEFT_OUT] = orjson.dumps(bad).decode()
    schema = SCHEMA.with_metadata(metadata)
    columns = zip(*_rows(settings, files), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _rows(settings: EvaluationTexts, files: Mapping[str, QuestionFile]) -> Iterator[tuple[Any, ...]]:
    """A row of the table for every question and answer, too short or not."""
    for name, file in files.items():
        for question in file.questions:
            yield _row(settings, name, question.id, "question", question.text)
            # Answers are often spelled several times alike.
            for answer in dict.fromkeys(question.answers):
                yield _row(settings, name, question.id, "answer", answer)


def _row(
    settings: EvaluationTexts, file: str, question: str, part: QuestionPart, text: str
) -> tuple[Any, ...]:
    hashes = word_hashes(text)
    least = settings.min_question_words if part == "question" else settings.min_answer_words
    if len(hashes) < least:
        return file, question, part, 0, 0, [], []
    n = min(settings.words, len(hashes))
    grams, first = np.unique(n_gram_hashes(hashes, n), return_index=True)
    heads = n_gram_hashes(hashes, settings.shortest)[first]
    return file, question, part, n, settings.needed(len(grams)), grams, heads


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


def read_table(path: Path) -> pa.RecordBatch:
    """The table of a store, memory-mapped."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        return file.get_batch(0)


def sought(path: Path) -> list[Sought]:
    """What is sought of each file of questions, by a store's table."""
    return sought_by(read_table(path))


def sought_by(table: pa.RecordBatch) -> list[Sought]:
    """The same of a table that is made and not written yet."""
    found: dict[str, list[int]] = {}
    for file, n in zip(table.column("file").to_pylist(), table.column("words").to_pylist(), strict=True):
        found.setdefault(file, []).append(n)
    bad = orjson.loads(table.schema.metadata.get(LINES_LEFT_OUT.encode(), b"{}"))
    parts = {file: (count, tuple(lines)) for file, (count, *lines) in bad.items()}
    return [
        Sought(file, len(each), sum(n > 0 for n in each), *parts.get(file, ()))
        for file, each in found.items()
    ]
