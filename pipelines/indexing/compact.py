"""The living rows of some shards to one shard: passages, vectors, codes and BM25 as they are, copied.

Codes and vectors of a passage do not depend on its neighbours: they are not made again, and a search finds
the same. So are BM25 weights, which depend on the mean length that the store was built with.

Decisions: docs/decisions/generations-and-takedowns.md, laws-and-bytes.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, save_array
from datastore.generations.manifest import FileEntry, Manifest, ShardEntry
from datastore.integrity import require_whole
from datastore.schema import join_passages
from datastore.shard import open_array, open_shard
from pipelines.execution.compare import copied
from pipelines.indexing.lexical import copy_lexical
from pipelines.passages.parts import write_batch


@dataclass(frozen=True, slots=True)
class Group:
    """Shards, by their place in the manifest, whose living rows become one new shard."""

    number: int
    places: tuple[int, ...]


def plan(manifest: Manifest, per_shard: int) -> list[Group]:
    """Which shards to write anew: those with rows taken down, and neighbours that fit into one.

    The number of a new shard is the next that is free.
    """
    runs: list[list[int]] = []
    held = 0
    for place, shard in enumerate(manifest.shards):
        alive = shard.rows - shard.taken_down
        if not runs or held + alive > per_shard:
            runs.append([])
            held = 0
        runs[-1].append(place)
        held += alive
    worth = [run for run in runs if len(run) > 1 or manifest.shards[run[0]].taken_down]
    return [Group(manifest.next_shard + n, tuple(run)) for n, run in enumerate(worth)]


@dataclass(frozen=True)
class CompactStage:
    """Writes the living rows of one group of shards as one."""

    name: ClassVar[str] = "compact"
    unit: ClassVar[str] = "passages"
    layout: Layout
    manifest: Manifest
    groups: tuple[Group, ...]

    def sizes(self) -> Sequence[int]:
        return [sum(self.manifest.shards[place].rows for place in group.places) for group in self.groups]

    def run(self, number: int) -> Marker:
        group = self.groups[number]
        entries = [self.manifest.shards[place] for place in group.places]
        # A flipped bit that is copied gets a checksum of its own.
        require_whole(self.layout.root, [f for place in group.places for f in copied(self.manifest, place)])
        shards = [open_shard(self.layout.root, entry) for entry in entries]
        alive = [np.ones(len(s.vectors), bool) if s.alive is None else s.alive for s in shards]
        # A document has one first row, however many shards it lies in.
        firsts = [self._firsts(place, s.passages) for place, s in zip(group.places, shards, strict=True)]
        counts = {
            "rows": int(sum(map(np.sum, alive))),
            "passages": int(sum(np.sum(~a) for a in alive)),
            "documents": int(sum(np.sum(~a & first) for a, first in zip(alive, firsts, strict=True))),
        }
        if not counts["rows"]:
            return Marker(counts)
        kept = [s.passages.filter(pa.array(a)) for s, a in zip(shards, alive, strict=True)]
        return Marker(counts, tuple(self._files(group.number, entries, join_passages(kept), alive)))

    def _firsts(self, place: int, passages: pa.RecordBatch) -> NDArray[np.bool_]:
        """Which rows of a shard are the first of their document: bool [rows].

        Not those of chunk 0, which may have been dropped at the build.
        """
        before = None
        if place:
            earlier = open_shard(self.layout.root, self.manifest.shards[place - 1]).passages
            before = _identity(earlier, earlier.num_rows - 1)
        first = np.ones(passages.num_rows, bool)
        first[0] = _identity(passages, 0) != before
        columns = [passages.column(name) for name in ("domain", "doc_id")]
        differ = [pc.not_equal(one[1:], one[:-1]).to_numpy(zero_copy_only=False) for one in columns]
        first[1:] = differ[0] | differ[1]
        return first

    def _files(
        self,
        number: int,
        entries: Sequence[ShardEntry],
        passages: pa.RecordBatch,
        alive: Sequence[NDArray[np.bool_]],
    ) -> list[FileInfo]:
        """The files of a new shard: passages, vectors, codes and BM25 where the store has them."""
        layout, manifest = self.layout, self.manifest

        def gather(files: Sequence[FileEntry]) -> NDArray[Any]:
            arrays = (open_array(layout.root / file.path) for file in files)
            return np.concatenate([array[a] for array, a in zip(arrays, alive, strict=True)])

        vectors = gather([entry.vectors for entry in entries])
        files = [
            layout.write(layout.passages(number), lambda handle: write_batch(handle, passages)),
            layout.write(layout.vectors(number), lambda handle: save_array(handle, vectors)),
        ]
        coded = [entry.codes for entry in entries if entry.codes]
        if coded:
            codes = gather(coded)
            path = layout.codes(manifest.index.key, number)
            files.append(layout.write(path, lambda handle: save_array(handle, codes)))
        if manifest.mean_words is not None:
            files += copy_lexical(layout, number, entries, alive)
        return files


def _identity(passages: pa.RecordBatch, row: int) -> tuple[str, str]:
    """Domain and id of a passage's document."""
    return passages.column("domain")[row].as_py(), passages.column("doc_id")[row].as_py()


def entry_of(marker: Marker, coded: bool) -> ShardEntry:
    """The shard that a task has written, of an index with codes or without; its first row is not known."""
    passages, vectors, *rest = map(FileEntry.of, marker.files)
    codes = rest.pop(0) if coded else None
    return ShardEntry(
        first_row=0,
        rows=marker.counts["rows"],
        passages=passages,
        vectors=vectors,
        codes=codes,
        lexical=tuple(rest) or None,
    )
