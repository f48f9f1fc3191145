"""What of a job is done and what is left, read from its markers and the word it leaves of what it made."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from base.errors import RalmError
from datastore.files.json import read_json
from datastore.files.layout import Layout
from datastore.generations.generation import at_generation, current, published
from datastore.generations.manifest import Manifest
from datastore.objects.origin import Origin, fetch, locate
from pipelines.config import BuildConfig
from pipelines.corpus.ingestion import NOTHING, Held, Ingestion, Undecided, summed
from pipelines.corpus.read import ReadStage
from pipelines.corpus.sources import Corpus
from pipelines.execution.counts import Shown
from pipelines.execution.job import pending
from pipelines.execution.metering.measured import Measured, made, made_file, of_stage, of_store, total
from pipelines.indexing.card import CardStage
from pipelines.indexing.compact import CompactStage, plan
from pipelines.jobs import stages
from pipelines.jobs.ingest import counted_markers


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Tasks of one stage: done, in all (None if an earlier stage decides it), and what they took."""

    name: str
    done: int
    total: int | None
    took: Measured


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A build, an addition or a compaction, and the generation that it made.

    That is None of one that is not finished, 0 where no manifest tells it any more.
    """

    name: str
    generation: int | None
    stages: tuple[StageStatus, ...]


@dataclass(frozen=True)
class Status:
    """The state of a store: the job that its stages belong to ("" for its build), and what is published.

    `took` is of all published generations together; `removed` counts what was not indexed, by reason, and
    `dropped` passages, lines and fields: those of the job as far as it has come, else those of the store.
    `others` are the jobs that are done, without the build if `stages` are the build's.
    """

    unfinished: str
    stages: tuple[StageStatus, ...]
    manifest: Manifest | None
    took: Measured
    dropped: Mapping[str, int] = field(default_factory=dict)
    others: tuple[JobStatus, ...] = ()
    removed: Mapping[str, int] = field(default_factory=dict)

    @property
    def jobs(self) -> tuple[JobStatus, ...]:
        """All jobs in the order in which they were begun."""
        if self.unfinished:
            return (*self.others, JobStatus(self.unfinished, None, self.stages))
        return (JobStatus("build", 1 if self.manifest else None, self.stages), *self.others)


def status(path: Path) -> Status:
    """Read the state of a store. Raises RalmError if there is none."""
    layout = Layout(locate(path))
    if not layout.build_file.exists():
        found = current(layout)  # Says in one sentence what is the matter.
        if Origin.of(layout.root):
            # The machine that built it has the record.
            return Status(
                "",
                (),
                found,
                of_store(layout.root),
                _shown(found.counts, stages.DROPPED),
                removed=_removed(found.counts),
            )
        raise RalmError(f"{path} has no record of its build.")
    manifest = current(layout) if published(layout) else None
    if manifest and (unfinished := pending(layout, manifest)):
        layout = unfinished
    ingestion = None if layout.job.endswith("compact") else begun(layout)
    totals = _totals(ingestion) if ingestion else _compaction(layout)
    shown = tuple(_stage(layout, name, tasks) for name, tasks in totals.items())
    job = layout.job.partition("-")[2]
    counts = (
        manifest.counts if manifest and not job else summed(counted_markers(ingestion) if ingestion else [])
    )
    others = tuple(_finished(layout, manifest)) if manifest else ()
    dropped = _shown(counts, stages.DROPPED)
    return Status(job, shown, manifest, of_store(layout.root), dropped, others, _removed(counts))


@dataclass(frozen=True, slots=True)
class Work:
    """What is done of a job that is not finished: its command, tasks, and the seconds that they took."""

    job: str
    tasks: int
    seconds: float


def unfinished_work(layout: Layout, manifest: Manifest) -> Work | None:
    """What would be lost if the job that is not finished were given up; None if it has done nothing yet."""
    unfinished = pending(layout, manifest)
    done = tuple(_recorded(unfinished)) if unfinished else ()
    if unfinished is None or not done:
        return None
    took = total(stage.took for stage in done)
    return Work(unfinished.job.partition("-")[2], sum(stage.done for stage in done), took.seconds)


def _finished(shown: Layout, manifest: Manifest) -> Iterator[JobStatus]:
    """The jobs of a store that are done, but for the one shown anyway.

    Those begun before jobs left word of what they made are taken for done: nothing tells one that another
    machine's came before.
    """
    later = sorted(path.parent.name for path in (shown.root / "stages").glob("*/build.json"))
    jobs = [Layout(shown.root, name) for name in ("", *later)]
    first = min((_turn(job) for job in jobs if made_file(job).exists()), default=manifest.edition + 1)
    guessed = _first_generations(shown) if first and later else {}
    for job in jobs:
        generation = guessed.get(_turn(job), 0) if _turn(job) < first else made(job)
        if job.job != shown.job and generation is not None:
            yield JobStatus(job.job.partition("-")[2] or "build", generation, tuple(_recorded(job)))


def _turn(layout: Layout) -> int:
    """The edition that a job makes."""
    return int(layout.job.partition("-")[0] or 0)


def _first_generations(layout: Layout) -> dict[int, int]:
    """The first generation of each edition that a manifest tells of."""
    found: dict[int, int] = {}
    for path in sorted(layout.manifest(0).parent.glob("*[0-9].json")):
        found.setdefault(read_json(path).get("edition", 0), int(path.stem))
    return found


def _recorded(layout: Layout) -> Iterator[StageStatus]:
    """The stages of a job that is done: all that there were tasks of."""
    for name in stages.STAGES:
        stage = _stage(layout, name, None)
        if stage.done:
            yield replace(stage, total=stage.done)


def _shown(counts: Mapping[str, int], kinds: Sequence[Shown]) -> dict[str, int]:
    """The counts of some kinds."""
    return {name: count for name, count in counts.items() if any(kind.holds(name) for kind in kinds)}


def _removed(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of what was no document, or not kept: those that are not 0."""
    return {name: count for name, count in _shown(counts, stages.GONE).items() if count}


def _stage(layout: Layout, name: str, tasks: int | None) -> StageStatus:
    folder = layout.marker(name, 0).parent
    done = sum(1 for _ in folder.glob("*[0-9].json"))
    return StageStatus(name, done, tasks, of_stage(layout, name))


def _compaction(layout: Layout) -> dict[str, int | None]:
    manifest = at_generation(layout, layout.read_settings()["generation"])
    groups = plan(manifest, manifest.config["passages_per_shard"])
    return {CompactStage.name: len(groups), CardStage.name: 1}


def begun(layout: Layout) -> Ingestion:
    """The ingestion of a build or an addition, as far as its own record tells of it."""
    record = layout.read_settings()
    ingestion = Ingestion(
        layout,
        # As settings were written; sources are named there, not found.
        BuildConfig.model_construct(**record["config"]),
        Corpus.recorded(record["splits"]),
        record.get("dtype", "float32"),
        work=record.get("work", 1),
    )
    with suppress(Undecided):  # What the store held decides nothing before all is read.
        ingestion.markers(ReadStage)
        return replace(ingestion, held=_held(layout))
    return ingestion


def _held(layout: Layout) -> Held:
    """What the store held before the job."""
    if not layout.job:
        return NOTHING
    manifest = current(layout)
    fetch(layout.root, manifest.compared)
    return Held.by(layout, manifest)


def _totals(ingestion: Ingestion) -> dict[str, int | None]:
    """How many tasks each stage has; None if one that is not done decides it."""
    found: dict[str, int | None] = {}
    for kind in stages.INGESTING:
        if kind.asked(ingestion):
            found[kind.name] = None
            with suppress(Undecided):
                found[kind.name] = kind.tasks(ingestion)
    return {**found, CardStage.name: 1}
