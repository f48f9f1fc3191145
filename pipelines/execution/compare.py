"""Files of a store, compared with their checksums by the tasks of a job: of a large one they are terabytes.

What a job reads is compared before it begins, what it has written before it publishes. Done anew in each run:
a marker would say that files were whole when it was written.

Decisions: docs/decisions/laws-and-bytes.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.manifest import FileEntry, Manifest
from datastore.integrity import compare_all, require_whole

# What a task compares, about.
_BYTES_PER_TASK = 1 << 30
# The names of its two stages: of what a job reads, and of what it has written.
COMPARE, COMPARE_NEW = "compare", "compare-new"


@dataclass(frozen=True)
class CompareStage:
    """Compares groups of files, one a task. A task raises RalmError for a file that differs."""

    unit: ClassVar[str] = "bytes"
    name: str
    layout: Layout
    groups: tuple[tuple[FileEntry, ...], ...]

    @classmethod
    def of(cls, name: str, layout: Layout, files: Iterable[FileEntry]) -> "CompareStage":
        """Files in groups of about a gigabyte."""
        groups: list[list[FileEntry]] = []
        held = 0
        for file in sorted(set(files), key=lambda file: file.path):
            if not groups or held + file.bytes > _BYTES_PER_TASK:
                groups.append([])
                held = 0
            groups[-1].append(file)
            held += file.bytes
        return cls(name, layout, tuple(map(tuple, groups)))

    def sizes(self) -> Sequence[int]:
        return [sum(file.bytes for file in group) for group in self.groups]

    def run(self, number: int) -> Marker:
        if self.name == COMPARE_NEW:
            compare_all(self.layout.root, self.groups[number])
        else:
            require_whole(self.layout.root, self.groups[number])
        return Marker({"files": len(self.groups[number])})


def read_by_addition(manifest: Manifest) -> list[FileEntry]:
    """The files of a store that an addition reads: what it compares with, what its card is measured on."""
    checked = [manifest.contamination] if manifest.contamination else []
    return [
        *manifest.compared,
        *checked,
        *manifest.deciding,
        *_measured(manifest, range(len(manifest.shards))),
    ]


def read_by_compaction(manifest: Manifest, rewritten: Iterable[int]) -> list[FileEntry]:
    """The files that a compaction reads, without those of the shards that it rewrites: these as it copies."""
    kept = set(range(len(manifest.shards))) - set(rewritten)
    return [manifest.index.trained, *manifest.takedowns, *_measured(manifest, sorted(kept))]


def copied(manifest: Manifest, place: int) -> list[FileEntry]:
    """The files of a shard that a compaction copies."""
    return [*_measured(manifest, [place]), *(manifest.shards[place].lexical or ())]


def _measured(manifest: Manifest, places: Iterable[int]) -> list[FileEntry]:
    shards = [manifest.shards[place] for place in places]
    return [f for s in shards for f in (s.passages, s.vectors, s.codes, s.deleted) if f is not None]
