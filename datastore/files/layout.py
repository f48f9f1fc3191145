"""Every path of a store, and what is written there by its name.

Knows where a file lies; knows nothing of what is in it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from datastore.files.json import read_checked, write_checked
from datastore.files.locks import changing, publishing
from datastore.files.markers import Marker, content_of, read_marker
from datastore.files.writing import FileInfo, atomic_write, checksum

# What generations consist of; manifests, markers and the log of what was removed stay as a record.
GENERATION_FOLDERS = (
    "passages",
    "vectors",
    "index",
    "lexical",
    "documents",
    "passage-hashes",
    "line-hashes",
    "near",
    "contamination",
    "takedowns",
    "deleted",
)


@dataclass(frozen=True)
class Layout:
    """The paths of one store, as one job sees them.

    `job` is empty for the build that made the store; what changes it later (`0001-add`, `0002-compact`) has
    folders of its own for its stages and for what it removed.
    """

    root: Path
    job: str = ""

    @property
    def pointer(self) -> Path:
        return self.root / "manifest.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def stages(self) -> Path:
        """The done-markers of the job."""
        return self.root / "stages" / self.job

    @property
    def build_file(self) -> Path:
        """The settings and the input splits of the job, fixed before its first task."""
        return self.stages / "build.json"

    @property
    def work(self) -> Path:
        """What stages hand to each other; removed once the store is published."""
        return self.root / "work"

    def manifest(self, generation: int) -> Path:
        return self.root / "manifests" / f"{generation:06d}.json"

    def measured_manifest(self, generation: int) -> Path:
        """What making a generation took; in no checksum, and named by no manifest."""
        return self.root / "manifests" / f"{generation:06d}.measured.json"

    def passages(self, shard: int) -> Path:
        return self.root / "passages" / f"{shard:05d}.arrow"

    def vectors(self, shard: int) -> Path:
        return self.root / "vectors" / f"{shard:05d}.npy"

    def trained(self, key: str) -> Path:
        return self.root / "index" / key / "trained.faiss"

    def card(self, key: str, edition: int) -> Path:
        return self.root / "index" / key / f"card.{edition}.json"

    def lists(self, key: str, edition: int) -> Path:
        """All codes by list, for searching from the disk; derived from those of the shards."""
        return self.root / "index" / key / f"lists.{edition}.bin"

    def documents(self, split: int) -> Path:
        """Hashes of the documents that a split gave the store: identity and text."""
        return self.root / "documents" / self.job / f"{split:05d}.npy"

    def passage_hashes(self, split: int) -> Path:
        """Hashes of the passages that a split gave the store: text, and identity of the document."""
        return self.root / "passage-hashes" / self.job / f"{split:05d}.npy"

    def line_hashes(self, split: int) -> Path:
        """Hashes of the lines that a split gave the store: text, and identity of the document."""
        return self.root / "line-hashes" / self.job / f"{split:05d}.npy"

    def near(self, split: int, part: str) -> Path:
        """What is kept of the documents of a split that near-duplicates were looked for among."""
        return self.root / "near" / self.job / f"{split:05d}.{part}.npy"

    def takedowns(self, generation: int) -> Path:
        return self.root / "takedowns" / f"{generation:06d}.jsonl"

    def deleted(self, passages: str, generation: int) -> Path:
        """Which rows of a shard, named by its passage file, are taken down as of a generation."""
        return self.root / "deleted" / f"{Path(passages).stem}.{generation:06d}.npy"

    @property
    def contamination(self) -> Path:
        """The n-grams of evaluation texts that passages are dropped for, as hashes."""
        return self.root / "contamination" / "grams.arrow"

    def lexical(self, shard: int, part: str) -> Path:
        return self.root / "lexical" / f"{shard:05d}.{part}.npy"

    def codes(self, key: str, shard: int) -> Path:
        return self.root / "index" / key / f"{shard:05d}.codes.npy"

    def removed(self, reason: str, split: int) -> Path:
        return self.root / "removed" / self.job / reason / f"{split:05d}.jsonl"

    def marker(self, stage: str, number: int) -> Path:
        return self.stages / stage / f"{number:05d}.json"

    def measured(self, stage: str, number: int) -> Path:
        return self.stages / stage / f"{number:05d}.measured.json"

    def info(self, path: Path) -> FileInfo:
        """Describe a finished file of this store, reading it once."""
        return FileInfo(str(path.relative_to(self.root)), path.stat().st_size, checksum(path))

    def write(self, path: Path, fill: Callable[[BinaryIO], object]) -> FileInfo:
        """Write a file of this store atomically and describe it."""
        atomic_write(path, fill)
        return self.info(path)

    def mark(self, stage: str, number: int, marker: Marker) -> None:
        """Say that a task is done. Its files are already in place: a marker comes last."""
        write_checked(self.marker(stage, number), content_of(marker))

    def done(self, stage: str, number: int) -> Marker | None:
        """The marker of a finished task, or None. Raises RalmError if it is damaged."""
        path = self.marker(stage, number)
        return read_marker(path) if path.exists() else None

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write what the job's bytes follow from."""
        write_checked(self.build_file, settings)

    def read_settings(self) -> dict[str, Any]:
        """What the job was begun with; nothing if it has not been. Raises RalmError if it is damaged."""
        return read_checked(self.build_file) if self.build_file.exists() else {}

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Hold the store for the moment that a new generation takes; wait while another one is published.

        Apart from `lock`: a takedown must not wait for a build that takes days.
        """
        # A takedown that was killed: no build may come for long that would clear up after it.
        with publishing(self.root, ("", "manifests", "takedowns", "deleted")):
            yield

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one build, and clear away what a dead one left half-written.

        Raises RalmError if another live process holds it.
        """
        with changing(self.root, self.lock_file):
            yield
