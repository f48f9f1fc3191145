"""Compacting a store: shards that hold rows taken down, or few rows, are written anew without them.

Codes and vectors of a passage do not depend on its neighbours: they are copied, not made again, and a search
finds the same. So are BM25 weights, which depend on the mean length that the store was built with.
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
from datastore.generations.generation import at_generation, current, current_whole, publish, put_files
from datastore.generations.manifest import PASSAGES_CUT, TAKEN_DOWN, FileEntry, Manifest, ShardEntry
from datastore.generations.sweep import Swept, sweep
from datastore.schema import join_passages
from datastore.shard import open_array, open_shard
from datastore.takedown import Takedowns, without
from datastore.whole import require_whole
from pipelines.execution.compare import READ, WRITTEN, copied, read_by_compaction
from pipelines.execution.executor import Executor
from pipelines.execution.job import Job, begin, require_turn
from pipelines.execution.measured import write_made, write_measured
from pipelines.execution.progress import BuildProgress
from pipelines.indexing.card import CardStage
from pipelines.indexing.lexical import copy_lexical
from pipelines.jobs.add import require_codec
from pipelines.passages.parts import write_batch
from retriever.encoding.checkpoint import Checkpoint, moved


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


@dataclass(frozen=True)
class Compaction:
    """One compaction of one store, whose encoders lie where it says, if they have moved."""

    layout: Layout
    executor: Executor
    progress: BuildProgress
    encoder: str | None = None
    query_encoder: str | None = None

    def run(self) -> tuple[Manifest, Swept]:
        """Compact, or go on compacting, publish, and delete the files that nobody needs any more.

        The generation stays the same if there is nothing to rewrite.
        """
        require_codec(self.layout, current_whole(self.layout))
        with self.layout.lock():
            manifest = current_whole(self.layout)
            layout = begin(self.layout, manifest, "compact")
            job = Job(layout, self.executor, self.progress)
            if layout.build_file.exists():
                # It goes on as planned; what has been taken down since is hidden at the end.
                manifest = at_generation(layout, layout.read_settings().get("generation", 0))
            groups = tuple(plan(manifest, manifest.config["passages_per_shard"]))
            if groups:
                # The card is measured at the end of it all: an encoder that is not there is said now.
                encoder = moved(manifest.encoder, self.encoder, self.query_encoder)
                if manifest.passages:
                    Checkpoint.of(encoder.for_queries)
                job.claim({"generation": manifest.generation, "manifest": manifest.hash})
                rewritten = [place for group in groups for place in group.places]
                job.compare(READ, read_by_compaction(manifest, rewritten))
                markers = job.perform(CompactStage(layout, manifest, groups))
                manifest = self._publish(job, compacted(manifest, groups, markers))
            job.finish()
            return manifest, sweep(self.layout)

    def _publish(self, job: Job, manifest: Manifest) -> Manifest:
        job.compare(WRITTEN, {*manifest.files} - {*current(self.layout).files})
        if manifest.shards:
            encoder = self.query_encoder if manifest.encoder.query else self.encoder
            job.perform(CardStage(job.layout, manifest, encoder=encoder))
        require_turn(job.layout, current(self.layout))
        put_files(self.layout, manifest)
        with self.layout.publishing():
            now = current(self.layout)
            require_turn(job.layout, now)
            update = {"generation": now.generation + 1, "takedowns": now.takedowns}
            manifest = manifest.model_copy(update=update)
            manifest = without(self.layout, manifest, Takedowns.load(self.layout, manifest))
            write_made(job.layout, manifest)
            publish(self.layout, manifest)
            write_measured(job.layout, manifest.generation)
        return manifest


def compacted(manifest: Manifest, groups: Sequence[Group], markers: Sequence[Marker]) -> Manifest:
    """The next edition of a store, each group of shards replaced by the one that was written for it."""
    first = {group.places[0]: marker for group, marker in zip(groups, markers, strict=True)}
    rewritten = {place for group in groups for place in group.places}
    shards: list[ShardEntry] = []
    row = 0
    for place, shard in enumerate(manifest.shards):
        if place in rewritten:
            marker = first.get(place)
            if marker is None or not marker.files:
                continue
            shard = _entry(marker, shard.codes is not None)
        shards.append(shard.model_copy(update={"first_row": row}))
        row += shard.rows
    documents = sum(marker.counts["documents"] for marker in markers)
    counts = dict(manifest.counts)
    passages = sum(marker.counts["passages"] for marker in markers)
    counts["passages"] -= passages
    if PASSAGES_CUT in counts:
        counts[TAKEN_DOWN] = counts.get(TAKEN_DOWN, 0) + passages
    counts["indexed"] -= documents
    counts["removed.taken_down"] = counts.get("removed.taken_down", 0) + documents
    return manifest.model_copy(
        update={
            "edition": manifest.edition + 1,
            "next_shard": manifest.next_shard + len(groups),
            "shards": tuple(shards),
            "counts": dict(sorted(counts.items())),
        }
    )


def _entry(marker: Marker, coded: bool) -> ShardEntry:
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
