"""A study from beginning to end: search once, judge, read, score; tables are written as they grow.

What is in the tables already is not measured again. A study that is stopped goes on when it is run again.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from base.errors import RalmError
from lm.backends.registry import require_memory
from pipelines.evaluate.metrics import BITS, READER, RETRIEVAL, RetrievalMetric
from pipelines.evaluate.study.arms import Arm, Put, arms_of, puts_of
from pipelines.evaluate.study.finding.bases import Bases
from pipelines.evaluate.study.finding.judging import Judge, allowed, depths_of
from pipelines.evaluate.study.finding.searching import Finder
from pipelines.evaluate.study.folder import StudyFolder, study_hash
from pipelines.evaluate.study.reading.answering import opened
from pipelines.evaluate.study.reading.answers import Answers
from pipelines.evaluate.study.reading.prompts import Asked, Prompts, Readable
from pipelines.evaluate.study.reading.scoring import answer_results
from pipelines.evaluate.study.reading.variants import Variant, variants_of
from pipelines.evaluate.study.settings import Study, known
from pipelines.evaluate.study.tasks import Task, read_task
from pipelines.evaluate.tables import Basis, Tables
from pipelines.execution.executor import open_executor
from pipelines.execution.progress import BuildProgress, Silent
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.results import Hit

METRICS = (*(one.name for one in RETRIEVAL), *(one.name for one in READER), BITS.name)


def run(study: Study, progress: BuildProgress | None = None) -> Tables:
    """Measure what is missing of a study; its tables, whole. Raises RalmError for what cannot be measured."""
    with StudyFolder.held(Path(study.output)):
        running = begun(study, progress or Silent())
        found = running.search()
        # Twice, as what was noted of the search is not noted again if the readers are stopped.
        running.folder.describe(about(running))
        running.read(found)
        running.folder.describe(about(running))
        return running.folder.tables


def begun(study: Study, progress: BuildProgress) -> "Running":
    """A study under way: all is read and opened, and nothing measured yet.

    Raises RalmError for what cannot be measured.
    """
    for name in study.metrics:
        known(name, METRICS, "metric")
    tasks = [read_task(one, study) for one in study.tasks]
    folder = StudyFolder.open(Path(study.output), study_hash(study, tasks))
    variants = list(variants_of(study))
    for variant in variants:
        require_memory(variant.choice)
    how = Opening(encoder=study.encoder, query_encoder=study.query_encoder)
    retriever = LocalRetriever.open(study.store, how)
    folder.require(retriever.hash)
    if study.manifest not in (None, retriever.hash):
        raise RalmError(
            f"The study is of the manifest {study.manifest}, the store {study.store} has {retriever.hash}: "
            "build the store again as it was, or leave `manifest` out of the study."
        )
    return Running(study, tasks, retriever, folder, variants, progress)


@dataclass
class Running:
    """A study under way."""

    study: Study
    tasks: Sequence[Task]
    retriever: LocalRetriever
    folder: StudyFolder
    variants: Sequence[Variant]
    progress: BuildProgress
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.arms = arms_of(self.study)
        for arm in self.arms:
            self.retriever.store.check(arm.view)
        self.puts = tuple(puts_of(self.study, self.arms)) if self.variants else ()
        self.bases = Bases(self.retriever)

    def search(self) -> list[Readable]:
        """Search for all tasks and judge what is found; what is left to be read."""
        return [one for task in self.tasks if (one := self.searched(task))]

    def searched(self, task: Task) -> Readable | None:
        """Search for a task's questions and judge what is found; None if nothing of it is left to be read."""
        for note in task.notes:
            self._note(note)
        metrics = allowed(task, self.study.metrics)
        judged = [arm for arm in self.arms if not self._is_judged(task, arm, metrics)]
        puts = [put for put in self.puts if not all(self._is_read(task, put, one) for one in self.variants)]
        arms = list(dict.fromkeys([*judged, *(put.arm for put in puts if put.arm)]))
        questions = task.read(self.study.reader_questions) if puts else ()
        if not arms:
            return Readable(task, questions, {}) if puts else None
        judge = Judge(task, self.study, metrics)
        read = {one.id for one in questions}
        found: dict[Arm, list[tuple[Hit, ...]]] = {put.arm: [] for put in puts if put.arm}
        deepest = max([*self.study.k, *(k for one in RETRIEVAL for k in depths_of(one, self.study))])
        finder = Finder(self.retriever, arms, deepest, self.study.pool)
        most = max(self.study.k)
        # Where all is judged, those are searched for that are read.
        for batch in finder.batches(task.questions if judged else questions, self.progress):
            judge.take(replace(batch, found={arm: batch.found[arm] for arm in judged}))
            for at, question in enumerate(batch.questions):
                if question.id in read:
                    for arm, hits in found.items():
                        hits.append(batch.found[arm][at][:most])
        for note in finder.notes:
            self._note(f"{task.name}: {note}")
        if judged:
            self.folder.add(*judge.results(self.bases.of(judged)))
        return Readable(task, questions, found) if puts else None

    def read(self, some: Sequence[Readable]) -> None:
        """Have every reader answer what is left to be read, and score it."""
        if not some:
            return
        bases = self.bases.of(list(dict.fromkeys(put.arm for put in self.puts if put.arm)))
        alone = Basis(self.retriever.hash, self.retriever.store.manifest.encoder.name)
        with open_executor(self.study.executor, self.study.workers) as executor:
            for variant, asked in self.asked(some):
                demands = (one.demand for of_put in asked for one in of_put.askings)
                kept = Answers(self.study, variant).all(demands, executor, self.progress)
                rows = [
                    answer_results(one, variant, kept, bases[one.put.arm] if one.put.arm else alone)
                    for one in asked
                ]
                results, values = ([*chain.from_iterable(part)] for part in zip(*rows, strict=True))
                self.folder.add(results, values)
                self._note_trimmed(variant, asked)
                if self._scores_bits and not all(
                    any(one.metric == BITS.name for one in of) for of, _ in rows
                ):
                    self._note(
                        f"{variant.settings.called}: bits per answer are left out, as it cannot score."
                    )

    def asked(self, some: Sequence[Readable]) -> Iterator[tuple[Variant, list[Asked]]]:
        """What each reader is asked of each task in each put that is left."""
        prompts: dict[str, Prompts] = {}
        for variant in self.variants:
            name = variant.settings.name
            if name not in prompts:
                # They depend on the tokenizer, which is the same in every quantization.
                reader = opened(variant.choice)
                prompts = {name: Prompts(self.study, self.retriever, reader, self._scores_bits)}
            left = [
                (one, put) for one in some for put in self.puts if not self._is_read(one.task, put, variant)
            ]
            if left:
                yield variant, [prompts[name].of(one, put) for one, put in left]

    @property
    def _scores_bits(self) -> bool:
        return not self.study.metrics or BITS.name in self.study.metrics

    def _is_judged(self, task: Task, arm: Arm, metrics: Iterable[RetrievalMetric]) -> bool:
        """Whether every figure of an arm is in the tables."""
        has = self.folder.tables.has
        return all(
            has((task.name, arm.cell(k).id, one.name)) for one in metrics for k in depths_of(one, self.study)
        )

    def _is_read(self, task: Task, put: Put, variant: Variant) -> bool:
        """Whether every figure of a put is in the tables."""
        cell = variant.of(put.cell(), put.conditioning).id
        names = [one.name for one in READER] + [BITS.name] * self._scores_bits
        return all(self.folder.tables.has((task.name, cell, name)) for name in names)

    def _note(self, note: str) -> None:
        self.notes.append(note)
        self.progress.say(note)

    def _note_trimmed(self, variant: Variant, asked: Iterable[Asked]) -> None:
        """Note that passages had no room in their prompts; nothing if all had."""
        each = [one.trimmed > 0 for of_put in asked for one in of_put.askings]
        if any(each):
            self._note(
                f"{variant.settings.called}: in {sum(each):,} of {len(each):,} answers passages were cut or "
                "left out, as they had no room."
            )


def about(running: Running) -> dict[str, Any]:
    """What a report says of a study beside its tables."""
    study, store = running.study, running.retriever.store
    tasks = {one.name: f"{len(one.questions):,} questions ({one.hash})" for one in running.tasks}
    return {
        "title": study.title or Path(study.output).name,
        "command": study.command,
        "encoder_parameters": running.retriever.encoder.parameters,
        "protocol": {
            "store": f"{Path(study.store).name}, {store.passages:,} passages, manifest {store.hash}",
            "encoder": store.manifest.encoder.name,
            "tasks": tasks,
            "search": "through all lists of the index, a share as if the store had been built of it; words "
            "of bm25 and hybrid are weighed by the whole store",
            "samples": f"{study.seeds} at each fraction below 1",
            "prompts": study.conditioning(study.conditionings[0], study.k[0]).told(),
            "answers": f"greedy, at most {study.answer_tokens} tokens, to the end of a line",
        },
        "training_tokens": {one.called: one.training_tokens for one in study.readers if one.training_tokens},
        # What is measured already is not noted again.
        "notes": list(dict.fromkeys([*running.folder.notes, *running.notes])),
        **study.report,
        "settings": study.written(),
    }
