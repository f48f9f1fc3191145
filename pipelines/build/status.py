"""What of a build is done and what is left, read from its markers alone."""

from dataclasses import dataclass
from pathlib import Path

from datastore.errors import RalmError
from datastore.layout import Layout, read_json
from datastore.manifest import Manifest, current, published
from pipelines.build.dedup import partition_count


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Tasks of one stage: done, in all (None if an earlier stage decides it), and their seconds."""

    name: str
    done: int
    total: int | None
    seconds: float


@dataclass(frozen=True)
class Status:
    """The state of a store: its stages and, once published, its manifest."""

    stages: tuple[StageStatus, ...]
    manifest: Manifest | None


def status(path: Path) -> Status:
    """Read the state of a store. Raises RalmError if there is none."""
    layout = Layout(path)
    if not layout.build_file.exists():
        current(layout)  # Says in one sentence what is the matter.
        raise RalmError(f"{path} has no record of its build.")
    stages = tuple(_stage(layout, name, total) for name, total in _totals(layout).items())
    return Status(stages, current(layout) if published(layout) else None)


def _stage(layout: Layout, name: str, total: int | None) -> StageStatus:
    folder = layout.marker(name, 0).parent
    measured = list(folder.glob("*.measured.json"))
    done = sum(1 for _ in folder.glob("*.json")) - len(measured)
    return StageStatus(name, done, total, sum(read_json(path)["seconds"] for path in measured))


def _totals(layout: Layout) -> dict[str, int | None]:
    build = read_json(layout.build_file)
    splits = build["splits"]
    partial = sum(s["segments"][0][1] == "jsonl" and s["segments"][0][3] >= 0 for s in splits)
    read = [layout.done("read", n) for n in range(len(splits))]
    partitions = None
    if all(read):
        partitions = partition_count(sum(m.counts["kept"] for m in read if m))
    chunk = [layout.done("chunk", n) for n in range(len(splits))]
    shards = None
    if all(chunk):
        per_shard = build["config"]["passages_per_shard"]
        shards = sum(-(-m.counts["passages"] // per_shard) for m in chunk if m)
    return {
        "scan": partial,
        "read": len(splits),
        "dedup-id": partitions,
        "dedup-text": partitions,
        "chunk": len(splits),
        "embed": shards,
        "train": 1,
        "index": shards,
        "words": shards if build["config"]["lexical"] else 0,
        "lexical": shards if build["config"]["lexical"] else 0,
        "card": 1,
    }
