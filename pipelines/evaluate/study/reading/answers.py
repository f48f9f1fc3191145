"""Answers of a study's readers: those that are kept already, and those that are still to be made.

Kept are whole files in a folder for each reader, which may have come from another machine.

Decisions: docs/decisions/measuring.md.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import xxhash

from datastore.files.json import read_json
from datastore.files.layout import Layout
from lm.reader import Sampling
from pipelines.evaluate.study.reading.answering import BATCH, AnswerStage, opened
from pipelines.evaluate.study.reading.exchange import (
    Answered,
    Demand,
    lines_of,
    read_kept,
    write_lines,
)
from pipelines.evaluate.study.reading.variants import Variant, card_of
from pipelines.evaluate.study.settings import Study
from pipelines.execution.executor import Executor
from pipelines.execution.job import Job
from pipelines.execution.progress import BuildProgress


@dataclass(frozen=True)
class Kept:
    """What a reader is known to answer, by key, and its card."""

    card: Mapping[str, Any]
    answers: Mapping[str, Answered]


@dataclass(frozen=True)
class Answers:
    """The answers of one reader in a study's folder."""

    study: Study
    variant: Variant

    @property
    def sampling(self) -> Sampling:
        """How it answers: to the end of a line."""
        stops = self.study.conditioning("prepend", 1).stops
        return Sampling(self.study.answer_tokens, stop=("\n", *stops))

    @property
    def folder(self) -> Path:
        """Where they are kept: another reader, or another end of answers, has another folder."""
        how = [self.variant.id, self.sampling.max_tokens, self.sampling.stop]
        name = f"{self.variant.settings.called}-{self.variant.quantization}".replace("/", "-").replace(
            ":", "-"
        )
        return Path(self.study.output) / "answers" / f"{name}-{xxhash.xxh3_64_hexdigest(orjson.dumps(how))}"

    def kept(self) -> Kept:
        """Those that are kept: each file is a line about the reader, then a line an answer."""
        card: dict[str, Any] = {}
        answers: dict[str, Answered] = {}
        for path in sorted([*self.folder.glob("*.jsonl"), *self.folder.glob("*.jsonl.gz")]):
            card, found = read_kept(path)
            answers |= {one.key: one for one in found}
        return Kept(card, answers)

    def missing(self, demands: Iterable[Demand], kept: Kept) -> list[Demand]:
        """What is not answered yet, each once; longest first: prompts of like length stand together."""
        new = {one.key: one for one in demands}
        left = [one for key, one in new.items() if key not in kept.answers]
        return sorted(left, key=lambda one: (-one.size, one.key))

    def all(self, demands: Iterable[Demand], executor: Executor, progress: BuildProgress) -> Kept:
        """The answers to some demands, of which those that are missing are made now."""
        kept = self.kept()
        left = self.missing(demands, kept)
        if not left:
            return kept
        # A run that was stopped finds the same left, and so its own work.
        name = xxhash.xxh3_64_hexdigest("".join(one.key for one in left).encode())
        layout = Layout(self.folder / "work" / name)
        file = layout.root / "demands.jsonl"
        if not file.exists():
            write_lines(file, (one.to_json() for one in left))
        stage = AnswerStage(layout, self.variant.choice, file.absolute(), len(left), self.sampling, BATCH)
        Job(layout, executor, progress).perform(stage)
        card = card_of(opened(self.variant.choice), self.variant)
        made = [
            replace(one, joules=joules) for one, joules in zip(stage.answers(), _joules(stage), strict=True)
        ]
        write_lines(self.folder / f"{name}.jsonl", [card, *lines_of(made)])
        shutil.rmtree(self.folder / "work")
        return self.kept()


def _joules(stage: AnswerStage) -> list[float]:
    """What each answer drew: its share of its task's."""
    found = []
    for number, size in enumerate(stage.sizes()):
        drawn = read_json(stage.layout.measured(stage.name, number))["joules"]
        found += [drawn / size] * size
    return found
