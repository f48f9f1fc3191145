"""A tuning: lessons are collected and written, then learnt.

The lessons are written first, so a run that is stopped goes on with the same ones; and they can be carried to
a machine with a GPU that has no store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.tuning.example import Example, read_examples, write_examples
from lm.tuning.training import Recipe, Step
from lm.tuning.tuned import Tuned, tune
from pipelines.execution.progress import BuildProgress
from pipelines.tuning.collecting import Collected, Corpus, collect

EXAMPLES = "examples.jsonl"


@dataclass(frozen=True, slots=True)
class Lessons:
    """What lessons are made of: question files, and so many titles of the store's documents."""

    files: tuple[Path, ...]
    titles: int = 0


def prepare(corpus: Corpus, of: Lessons, folder: Path, progress: BuildProgress) -> Collected:
    """Write the lessons into a folder. Raises RalmError if the questions teach nothing."""
    found = collect(corpus, of.files, of.titles, progress)
    if not found.examples:
        raise RalmError(
            "Nothing can be learnt from these questions: they need `answers`, passages that are found, and ids "
            "that are not held out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f"{EXAMPLES}.tmp"
    write_examples(half, found.examples)
    half.replace(folder / EXAMPLES)
    return found


def learn(reader: ReaderChoice, recipe: Recipe, folder: Path, progress: BuildProgress) -> Tuned:
    """Learn the lessons of a folder; the adapter is written beside them. Goes on where it was stopped."""
    examples = read_examples(folder / EXAMPLES)
    started: list[int] = []

    def told(step: Step) -> None:
        if not started:
            progress.start("tune", "steps", step.of, step.done - 1)
        started.append(step.done)
        progress.advance(1)
        if step.done == step.of:
            progress.finish()

    return tune(reader, examples, recipe, folder, told)


def examples_of(folder: Path) -> Sequence[Example]:
    """The lessons that a folder holds."""
    return read_examples(folder / EXAMPLES)
