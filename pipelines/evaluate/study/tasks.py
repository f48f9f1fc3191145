"""The tasks of a study, read: questions, which hang together, and a hash of what they are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import xxhash
from numpy.typing import NDArray

from base.errors import RalmError
from pipelines.evaluate.intervals import clusters_of
from pipelines.evaluate.study.settings import Study, TaskSettings
from pipelines.questions import Question, read_questions


@dataclass(frozen=True)
class Task:
    """The questions of a task, each with an id of its own; `notes` say which lines are none."""

    name: str
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def _clusters(self) -> dict[str, int]:
        numbers = clusters_of([one.gold_docs for one in self.questions])
        return dict(zip((one.id for one in self.questions), numbers.tolist(), strict=True))

    def clusters(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of the clusters that some questions [n] are of."""
        return np.array([self._clusters[one] for one in ids], np.int64)

    def read(self, most: int) -> tuple[Question, ...]:
        """The questions that a reader is asked: the first that have answers."""
        return tuple(one for one in self.questions if one.answers)[:most]

    @cached_property
    def hash(self) -> str:
        """A hash of its questions, with what they are scored by."""
        parts = [(one.id, one.text, one.answers, sorted(one.gold_docs)) for one in self.questions]
        return xxhash.xxh3_64_hexdigest(repr(parts).encode())


def read_task(settings: TaskSettings, study: Study) -> Task:
    """Read a task. Raises RalmError for one that cannot be measured, whatever the store."""
    file = read_questions(settings.file, settings.limit)
    if study.readers and not any(one.answers for one in file.questions):
        raise RalmError(
            f"No question of {settings.file.name} has `answers`, by which a reader is scored: add them, or "
            "leave the reader out."
        )
    notes = (file.warning,) if file.warning else ()
    return Task(settings.called, tuple(_told_apart(file.questions)), notes)


def _told_apart(questions: Sequence[Question]) -> Iterator[Question]:
    """Questions with ids that values can be told apart by: the second of one id is called id#2."""
    count = Counter[str]()
    for one in questions:
        count[one.id] += 1
        yield one if count[one.id] == 1 else replace(one, id=f"{one.id}#{count[one.id]}")
