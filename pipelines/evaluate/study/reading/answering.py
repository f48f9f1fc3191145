"""A reader's part of a study, as a stage: every demand is answered once, in tasks that any executor takes.

A stage that is stopped goes on where it was: each task leaves a whole file. Knows no store and no question.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.reader import Reader, Sampling
from pipelines.evaluate.metrics import bits_per_answer
from pipelines.evaluate.study.reading.exchange import (
    Answered,
    Demand,
    lines_of,
    read_answers,
    read_lines,
    write_lines,
)

# Prompts that are read together, and those of one task.
BATCH, TASK = 8, 64


@dataclass(frozen=True)
class AnswerStage:
    """Answers the demands of a file with a reader; those of like length stand together in it."""

    layout: Layout
    choice: ReaderChoice
    demands: Path
    count: int
    sampling: Sampling
    batch: int = BATCH

    name = "answer"
    unit = "prompts"

    @property
    def device(self) -> str:
        """What the work is done on."""
        import torch

        on_gpu = self.choice.device.startswith("cuda") or (
            self.choice.device == "auto" and torch.cuda.is_available()
        )
        return "cuda" if on_gpu else "cpu"

    def sizes(self) -> Sequence[int]:
        """Demands in each task."""
        return [min(TASK, self.count - at) for at in range(0, self.count, TASK)]

    def path(self, number: int) -> Path:
        """The file of answers that a task leaves."""
        return self.layout.root / "answered" / f"{number:05d}.jsonl"

    def run(self, number: int) -> Marker:
        """Answer the demands of a task."""
        some = _demands(self.demands)[number * TASK : (number + 1) * TASK]
        found = answered(opened(self.choice), some, self.sampling, self.batch)
        write_lines(self.path(number), lines_of(found))
        return Marker({"answered": len(found)}, (self.layout.info(self.path(number)),))

    def answers(self) -> list[Answered]:
        """What all tasks have left."""
        return [one for at in range(len(self.sizes())) for one in read_answers(self.path(at))]


@lru_cache(maxsize=1)
def opened(choice: ReaderChoice) -> Reader:
    """The reader of a choice, loaded once in a process: one at a time."""
    return open_reader(choice)


@lru_cache(maxsize=2)
def _demands(path: Path) -> tuple[Demand, ...]:
    return tuple(map(Demand.of, read_lines(path)))


def answered(reader: Reader, demands: Sequence[Demand], sampling: Sampling, batch: int) -> list[Answered]:
    """What a reader makes of some demands, so many of them at a time."""
    found = []
    for at in range(0, len(demands), batch):
        some = demands[at : at + batch]
        completions = reader.generate([one.asked for one in some], sampling)
        bits = _bits(reader, some)
        for one, completion, each in zip(some, completions, bits, strict=True):
            found.append(
                Answered(one.key, completion.text, completion.prompt_tokens, completion.tokens, each)
            )
    return found


def _bits(reader: Reader, some: Sequence[Demand]) -> list[float | None]:
    """Of each demand the bits of its likeliest accepted answer; None of one without any.

    All are None where the reader cannot score, as one behind a server that does not show its chat template.
    """
    scored = [one for one in some if one.answers]
    if not scored:
        return [None] * len(some)
    texts = [one.answers for one in scored]
    try:
        found = iter(bits_per_answer(reader, [one.asked for one in scored], texts))
    except RalmError:
        return [None] * len(some)
    return [next(found) if one.answers else None for one in some]
