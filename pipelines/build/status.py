"""What of a build is done and what is left, read from its markers alone."""

from dataclasses import dataclass
from pathlib import Path

from datastore.errors import RalmError
from datastore.layout import Layout, read_json
from datastore.manifest import Manifest, at_generation, current, published
from datastore.origin import Origin, fetch, locate
from datastore.store import open_array
from pipelines.build.compact import plan
from pipelines.build.dedup import partition_count
from pipelines.build.job import pending


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Tasks of one stage: done, in all (None if an earlier stage decides it), and their seconds."""

    name: str
    done: int
    total: int | None
    seconds: float


@dataclass(frozen=True)
class Status:
    """The state of a store: the job that its stages belong to ("" for its build), and what is published."""

    unfinished: str
    stages: tuple[StageStatus, ...]
    manifest: Manifest | None


def status(path: Path) -> Status:
    """Read the state of a store. Raises RalmError if there is none."""
    layout = Layout(locate(path))
    if not layout.build_file.exists():
        found = current(layout)  # Says in one sentence what is the matter.
        if Origin.of(layout.root):
            return Status("", (), found)  # The machine that built it has the record.
        raise RalmError(f"{path} has no record of its build.")
    manifest = current(layout) if published(layout) else None
    if manifest and (unfinished := pending(layout, manifest)):
        layout = unfinished
    totals = _compaction(layout) if layout.job.endswith("compact") else _totals(layout)
    stages = tuple(_stage(layout, name, total) for name, total in totals.items())
    return Status(layout.job.partition("-")[2], stages, manifest)


def _stage(layout: Layout, name: str, total: int | None) -> StageStatus:
    folder = layout.marker(name, 0).parent
    measured = list(folder.glob("*.measured.json"))
    done = sum(1 for _ in folder.glob("*.json")) - len(measured)
    return StageStatus(name, done, total, sum(read_json(path)["seconds"] for path in measured))


def _compaction(layout: Layout) -> dict[str, int | None]:
    manifest = at_generation(layout, read_json(layout.build_file)["generation"])
    return {"compact": len(plan(manifest, manifest.config["passages_per_shard"])), "card": 1}


def _totals(layout: Layout) -> dict[str, int | None]:
    build = read_json(layout.build_file)
    splits = build["splits"]
    partial = sum(s["segments"][0][1] == "jsonl" and s["segments"][0][3] >= 0 for s in splits)
    read = [layout.done("read", n) for n in range(len(splits))]
    partitions = None
    if all(read):
        earlier = 0
        if layout.job:
            documents = current(layout).documents
            fetch(layout.root, documents)
            earlier = sum(len(open_array(layout.root / file.path)) for file in documents)
        partitions = partition_count(earlier + sum(m.counts["kept"] for m in read if m))
    chunk = [layout.done("chunk", n) for n in range(len(splits))]
    shards = None
    if all(chunk):
        per_shard = build["config"]["passages_per_shard"]
        shards = sum(-(-m.counts["passages"] // per_shard) for m in chunk if m)
    words = shards if build["config"]["lexical"] else 0
    return {
        "scan": partial,
        "read": len(splits),
        "dedup-id": partitions,
        "dedup-text": partitions,
        "chunk": len(splits),
        "embed": shards,
        # An addition takes the index and the mean length as they are.
        "train": 0 if layout.job else 1,
        "index": shards,
        "words": 0 if layout.job else words,
        "lexical": words,
        "card": 1,
    }
