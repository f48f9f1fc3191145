"""What of a job is done and what is left, read from its markers and the word it leaves of what it made."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from base.errors import RalmError
from datastore.files.json import read_json
from datastore.files.layout import Layout
from datastore.generations.generation import at_generation, current, published
from datastore.generations.manifest import DOUBTFUL, Manifest
from datastore.objects.origin import Origin, fetch, locate
from pipelines.config import BuildConfig
from pipelines.contamination.contaminated import BY
from pipelines.corpus.read import LEFT_OUT
from pipelines.duplicates.dedup import NOTHING, Held, partition_count
from pipelines.duplicates.lines import REPEATED
from pipelines.duplicates.near import PairStage
from pipelines.duplicates.repeats import RepeatStage
from pipelines.execution.job import IN_PARTS, pending
from pipelines.execution.measured import Measured, made, made_file, of_stage, of_store, total
from pipelines.indexing.embed import parts_of
from pipelines.jobs.add import held_by
from pipelines.jobs.compact import plan
from pipelines.jobs.ingest import add_counts

# Every stage that a build, an addition or a compaction may have, in their order.
STAGES = (
    *("compare", "scan", "read", "dedup-id", "dedup-text"),
    *("near-sign", "near-pair", "near-verify", "near-cluster", "lines", "dedup-line"),
    *("chunk", "dedup-passage", "thin", "embed", "join", "embed-early"),
    *("train", "words", "index", "lexical", "compact", "compare-new", "card"),
)


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
                _dropped(found.counts),
                removed=_removed(found.counts),
            )
        raise RalmError(f"{path} has no record of its build.")
    manifest = current(layout) if published(layout) else None
    if manifest and (unfinished := pending(layout, manifest)):
        layout = unfinished
    totals = _compaction(layout) if layout.job.endswith("compact") else _totals(layout)
    stages = tuple(_stage(layout, name, tasks) for name, tasks in totals.items())
    job = layout.job.partition("-")[2]
    counts = manifest.counts if manifest and not job else _chunked(layout)
    others = tuple(_finished(layout, manifest)) if manifest else ()
    return Status(job, stages, manifest, of_store(layout.root), _dropped(counts), others, _removed(counts))


@dataclass(frozen=True, slots=True)
class Work:
    """What is done of a job that is not finished: its command, tasks, and the seconds that they took."""

    job: str
    tasks: int
    seconds: float


def unfinished_work(layout: Layout, manifest: Manifest) -> Work | None:
    """What would be lost if the job that is not finished were given up; None if it has done nothing yet."""
    begun = pending(layout, manifest)
    stages = tuple(_recorded(begun)) if begun else ()
    if begun is None or not stages:
        return None
    took = total(stage.took for stage in stages)
    return Work(begun.job.partition("-")[2], sum(stage.done for stage in stages), took.seconds)


def _finished(shown: Layout, manifest: Manifest) -> Iterator[JobStatus]:
    """The jobs of a store that are done, but for the one shown anyway.

    Those begun before jobs left word of what they made are taken for done: nothing tells one that another
    machine's came before.
    """
    begun = sorted(path.parent.name for path in (shown.root / "stages").glob("*/build.json"))
    jobs = [Layout(shown.root, name) for name in ("", *begun)]
    first = min((_turn(job) for job in jobs if made_file(job).exists()), default=manifest.edition + 1)
    guessed = _first_generations(shown) if first and begun else {}
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
    for name in STAGES:
        stage = _stage(layout, name, None)
        if stage.done:
            yield replace(stage, total=stage.done)


def _dropped(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of dropped passages and lines, of fields left out, and of doubtful documents."""
    kinds = ("dropped.", BY, REPEATED, LEFT_OUT, DOUBTFUL)
    return {name: count for name, count in counts.items() if name.startswith(kinds)}


def _removed(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of records that were no documents, and of documents that were not kept, by reason."""
    kinds = ("unreadable", "skipped.", "removed.")
    return {name: count for name, count in counts.items() if name.startswith(kinds) and count}


def _chunked(layout: Layout) -> dict[str, int]:
    """What the tasks that have been done so far have counted."""
    splits = range(len(layout.read_settings().get("splits", ())))
    done = [layout.done("read", n) for n in splits]
    done += [layout.done("thin", n) or layout.done("chunk", n) for n in splits]
    return add_counts([marker for marker in done if marker])


def _stage(layout: Layout, name: str, tasks: int | None) -> StageStatus:
    folder = layout.marker(name, 0).parent
    done = sum(1 for _ in folder.glob("*[0-9].json"))
    return StageStatus(name, done, tasks, of_stage(layout, name))


def _compaction(layout: Layout) -> dict[str, int | None]:
    manifest = at_generation(layout, layout.read_settings()["generation"])
    return {"compact": len(plan(manifest, manifest.config["passages_per_shard"])), "card": 1}


def _near(layout: Layout, build: dict[str, Any]) -> dict[str, int | None]:
    """The stages that look for near-duplicates, if the build does."""
    if not build["config"].get("near_duplicates"):
        return {}
    splits = len(build["splits"])
    signed = [layout.done("near-sign", n) for n in range(splits)]
    ranges = PairStage(layout, tuple(m.counts["keys"] for m in signed if m)).ranges if all(signed) else None
    return {"near-sign": splits, "near-pair": ranges, "near-verify": splits, "near-cluster": 1}


def _held(layout: Layout) -> Held:
    """What the store held before the job."""
    if not layout.job:
        return NOTHING
    manifest = current(layout)
    fetch(layout.root, manifest.compared)
    return held_by(layout, manifest)


def _lines(layout: Layout, build: dict[str, Any]) -> dict[str, int | None]:
    """The stages that look for repeated lines, if the build does."""
    if not build["config"].get("duplicate_lines"):
        return {}
    splits = len(build["splits"])
    hashed = [layout.done("lines", n) for n in range(splits)]
    ranges = None
    if all(hashed):
        lines = tuple(m.counts["lines"] for m in hashed if m)
        ranges = RepeatStage(layout, "line", lines, _held(layout)).ranges
    return {"lines": splits, "dedup-line": ranges}


def _repeats(layout: Layout, build: dict[str, Any]) -> dict[str, int | None]:
    """The stages that drop repeated passages, if the build does."""
    if not _config(build).drops_passages:
        return {}
    splits = len(build["splits"])
    chunk = [layout.done("chunk", n) for n in range(splits)]
    ranges = None
    if all(chunk):
        passages = tuple(m.counts["passages"] for m in chunk if m)
        ranges = RepeatStage(layout, "passage", passages, _held(layout)).ranges
    return {"dedup-passage": ranges, "thin": splits}


def _config(build: dict[str, Any]) -> BuildConfig:
    """The settings of a build as they were written; its sources are named there, not found."""
    return BuildConfig.model_construct(**build["config"])


def _embed(layout: Layout, build: dict[str, Any], rows: list[int] | None) -> dict[str, int | None]:
    """Embedding: by split where a GPU takes them as they are cut, else by parts of shards with so many rows.

    Early builds embedded shard by shard, and some of them with a GPU that waited.
    """
    if _config(build).embeds_early and layout.done("embed", 0) is None:
        return {"embed-early": len(build["splits"])}
    if rows is None:
        return {"embed": None, "join": None}
    if build.get("work", 1) < IN_PARTS:
        return {"embed": len(rows), "join": 0}
    parts = Counter(part.shard for part in parts_of(rows, _config(build).device))
    return {"embed": parts.total(), "join": sum(count > 1 for count in parts.values())}


def _totals(layout: Layout) -> dict[str, int | None]:
    build = layout.read_settings()
    splits = build["splits"]
    partial = sum(s["segments"][0][1] == "jsonl" and s["segments"][0][3] >= 0 for s in splits)
    read = [layout.done("read", n) for n in range(len(splits))]
    partitions = None
    if all(read):
        partitions = partition_count(_held(layout).documents + sum(m.counts["kept"] for m in read if m))
    chunk = [layout.done("chunk", n) for n in range(len(splits))]
    repeats = _repeats(layout, build)
    last = [layout.done("thin", n) for n in range(len(splits))] if repeats else chunk
    rows = None
    if all(last):
        per_shard = build["config"]["passages_per_shard"]
        passages = [m.counts["passages"] for m in last if m]
        rows = [min(per_shard, count - at) for count in passages for at in range(0, count, per_shard)]
    shards = None if rows is None else len(rows)
    words = shards if build["config"]["lexical"] else 0
    return {
        "scan": partial,
        "read": len(splits),
        "dedup-id": partitions,
        "dedup-text": 0 if _config(build).duplicate_text == "keep" else partitions,
        **_near(layout, build),
        **_lines(layout, build),
        "chunk": len(splits),
        **repeats,
        **_embed(layout, build, rows),
        # An addition takes the index and the mean length as they are.
        "train": 0 if layout.job else 1,
        "words": 0 if layout.job else words,
        "index": shards,
        "lexical": words,
        "card": 1,
    }
