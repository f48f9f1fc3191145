"""Evaluation questions and their answers as one table of n-grams, hashed: all that a store keeps of them.

A text of fewer than n words counts as one n-gram of all its words; a still shorter one, which may stand
anywhere ("the United States"), is not looked for. Published practice is 13 words: GPT-3 takes 8 to 13, by
how long the examples are (Brown et al. 2020, appendix C), Dolma drops paragraphs of evaluation sets of 13
tokens and more (Soldaini et al. 2024), MassiveDS asks for likeness in 13-grams or 32 words in a row (Shao et
al. 2024).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
import xxhash

from base.errors import RalmError
from pipelines.config import Decontamination
from pipelines.contamination.word_hashes import word_hashes
from pipelines.corpus.source_names import source_names
from pipelines.filters.words import n_gram_hashes
from pipelines.questions import QuestionFile, read_questions

Part = Literal["question", "answer"]

# What a table says beside its rows: for each file with lines that are no questions how many, then the first.
LEFT_OUT = "left_out"
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
        metadata[LEFT_OUT] = orjson.dumps(bad).decode()
    schema = SCHEMA.with_metadata(metadata)
    columns = zip(*_rows(settings, files), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _rows(settings: Decontamination, files: Mapping[str, QuestionFile]) -> Iterator[tuple[Any, ...]]:
    """A row of the table for every question and answer, too short or not."""
    for name, file in files.items():
        for question in file.questions:
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
