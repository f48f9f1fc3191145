"""Every path of a store, and the files that are called by their paths alone: markers, settings, locks.

Knows where a file lies, and in which folder; knows nothing of what generations and passages are.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from datastore.files.json import read_checked, write_checked
from datastore.files.locks import changing, publishing
from datastore.files.markers import Marker, content_of, read_marker
from datastore.files.writing import FileInfo, atomic_write, checksum


class Folder(StrEnum):
    """The folders of what generations consist of: what no generation needs of them is swept away.

    Manifests, markers and what was removed are in none of these: they stay as a record.
    """

    PASSAGES = "passages"
    VECTORS = "vectors"
    INDEX = "index"
    LEXICAL = "lexical"
    DOCUMENTS = "documents"
    PASSAGE_HASHES = "passage-hashes"
    LINE_HASHES = "line-hashes"
    NEAR = "near"
    CONTAMINATION = "contamination"
    TAKEDOWNS = "takedowns"
    DELETED = "deleted"


# Folders of the record, which a store in object storage has too.
MANIFESTS, REMOVED = "manifests", "removed"


@dataclass(frozen=True)
class Layout:
    """The paths of one store, as one job sees them.

    `job` is empty for the build that made the store; what changes it later (`0001-add`, `0002-compact`) has
    folders of its own for its stages, for what it removed, and for the hashes of what it has read.
    """

    root: Path
    job: str = ""

    # What generations consist of.

    def passages(self, shard: int) -> Path:
        """The passages of a shard."""
        return self.root / Folder.PASSAGES / f"{shard:05d}.arrow"

    def vectors(self, shard: int) -> Path:
        """The vectors of a shard."""
        return self.root / Folder.VECTORS / f"{shard:05d}.npy"

    def trained(self, key: str) -> Path:
        """The index of this key, trained and empty."""
        return self.root / Folder.INDEX / key / "trained.faiss"

    def codes(self, key: str, shard: int) -> Path:
        """The vectors of a shard, encoded by the index."""
        return self.root / Folder.INDEX / key / f"{shard:05d}.codes.npy"

    def lists(self, key: str, edition: int) -> Path:
        """All codes by list, for searching from the disk; derived from those of the shards."""
        return self.root / Folder.INDEX / key / f"lists.{edition}.bin"

    def card(self, key: str, edition: int) -> Path:
        """What was measured of the index; in no checksum, and named by no manifest."""
        return self.root / Folder.INDEX / key / f"card.{edition}.json"

    def lexical(self, shard: int, part: str) -> Path:
        """Part of the BM25 index of a shard."""
        return self.root / Folder.LEXICAL / f"{shard:05d}.{part}.npy"

    def documents(self, split: int) -> Path:
        """Hashes of the documents that a split gave the store: identity and text."""
        return self.root / Folder.DOCUMENTS / self.job / f"{split:05d}.npy"

    def passage_hashes(self, split: int) -> Path:
        """Hashes of the passages that a split gave the store: text, and identity of the document."""
        return self.root / Folder.PASSAGE_HASHES / self.job / f"{split:05d}.npy"

    def line_hashes(self, split: int) -> Path:
        """Hashes of the lines that a split gave the store: text, and identity of the document."""
        return self.root / Folder.LINE_HASHES / self.job / f"{split:05d}.npy"

    def near(self, split: int, part: str) -> Path:
        """What is kept of the documents of a split that near-duplicates were looked for among."""
        return self.root / Folder.NEAR / self.job / f"{split:05d}.{part}.npy"

    @property
    def contamination(self) -> Path:
        """The n-grams of evaluation texts that passages are dropped for, as hashes."""
        return self.root / Folder.CONTAMINATION / "grams.arrow"

    def takedowns(self, generation: int) -> Path:
        """The documents that a generation has taken down."""
        return self.root / Folder.TAKEDOWNS / f"{generation:06d}.jsonl"

    def deleted(self, passages: str, generation: int) -> Path:
        """Which rows of a shard, named by its passage file, are taken down as of a generation."""
        return self.root / Folder.DELETED / f"{Path(passages).stem}.{generation:06d}.npy"

    # Which generations there are, and what each job did.

    @property
    def pointer(self) -> Path:
        """Names the current generation."""
        return self.root / "manifest.json"

    @property
    def manifests(self) -> Path:
        """The folder of the manifests of all generations."""
        return self.root / MANIFESTS

    def manifest(self, generation: int) -> Path:
        """The manifest of a generation."""
        return self.manifests / f"{generation:06d}.json"

    def measured_manifest(self, generation: int) -> Path:
        """What making a generation took; in no checksum, and named by no manifest."""
        return self.manifests / f"{generation:06d}.measured.json"

    def removed(self, reason: str, split: int) -> Path:
        """What was removed of a split for one reason."""
        return self.root / REMOVED / self.job / reason / f"{split:05d}.jsonl"

    @property
    def strangers(self) -> tuple[str, ...]:
        """What lies in the store's folder and is none of its own."""
        own = {*Folder, MANIFESTS, REMOVED, "stages", "work", "lock", self.pointer.name}
        return tuple(sorted(path.name for path in self.root.iterdir() if path.name not in own))

    @property
    def stages(self) -> Path:
        """The done-markers of the job."""
        return self.root / "stages" / self.job

    @property
    def build_file(self) -> Path:
        """The settings and the input splits of the job, fixed before its first task."""
        return self.stages / "build.json"

    def marker(self, stage: str, number: int) -> Path:
        """Says that a task is done."""
        return self.stages / stage / f"{number:05d}.json"

    def measured(self, stage: str, number: int) -> Path:
        """What a task took."""
        return self.stages / stage / f"{number:05d}.measured.json"

    @property
    def work(self) -> Path:
        """What stages hand to each other; removed once the store is published."""
        return self.root / "work"

    # Files and locks by these paths.

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
        # What a takedown writes. If it was killed, no build may come for long that would clear up after it.
        written = [self.root, self.manifests, *(self.root / f for f in (Folder.TAKEDOWNS, Folder.DELETED))]
        with publishing(self.manifests / "lock", written):
            yield

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one job, and clear away what a dead one left half-written.

        Raises RalmError if another live process holds it.
        """
        with changing(self.root, self.root / "lock"):
            yield
