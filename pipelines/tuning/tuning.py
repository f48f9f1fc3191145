"""A tuning: lessons are collected and written, then learnt.

The lessons are written first, so a run that is stopped goes on with the same ones; and they can be carried to
a machine with a GPU that has no store.
"""

from collections.abc import Iterable
from pathlib import Path

import xxhash

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.tuning.example import Example, read_examples, write_examples
from lm.tuning.model_card import Tuned
from lm.tuning.training import Recipe, Step
from lm.tuning.tuned import as_taught, tune
from pipelines.execution.progress import BuildProgress
from pipelines.tuning.collecting import Collected, Corpus, Wanted, collect
from pipelines.tuning.knowing import with_what_is_known

EXAMPLES = "lessons.jsonl"


def prepare(corpus: Corpus, of: Wanted, folder: Path, progress: BuildProgress) -> Collected:
    """Write the lessons into a folder. Raises RalmError if the questions teach nothing."""
    found = collect(corpus, of, progress)
    if not found.examples:
        raise RalmError(
            "Nothing can be learnt from these questions: they need `answers`, passages that are found, and "
            "ids that are not held out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / EXAMPLES, found.examples)
    return found


def learn(choice: ReaderChoice, recipe: Recipe, folder: Path, progress: BuildProgress) -> Tuned:
    """Learn the lessons of a folder; the adapter is written beside them. Goes on where it was stopped."""
    choice = as_taught(choice)
    examples = _with_what_is_known(choice, folder, progress)
    shown = False

    def told(step: Step) -> None:
        nonlocal shown
        if not shown:
            progress.start("tune", "steps", step.of, step.done - 1)
        shown = True
        progress.advance(1)
        if step.done == step.of:
            progress.finish()

    try:
        return tune(choice, examples, recipe, folder, told)
    except BaseException:
        progress.stop()
        raise


def _with_what_is_known(choice: ReaderChoice, folder: Path, progress: BuildProgress) -> list[Example]:
    """The lessons of a folder with what the reader knows by itself: it is asked once, and that is kept."""
    lessons = read_examples(folder / EXAMPLES)
    # Other lessons, or another reader, are asked anew.
    of = xxhash.xxh3_64_hexdigest((folder / EXAMPLES).read_bytes() + choice.name.encode())
    kept = folder / f"lessons.learnt.{of}.jsonl"
    if not kept.exists():
        _write(kept, with_what_is_known(lessons, open_reader(choice), progress))
    return read_examples(kept)


def _write(path: Path, examples: Iterable[Example]) -> None:
    half = path.with_name(f"{path.name}.tmp")
    write_examples(half, examples)
    half.replace(path)
