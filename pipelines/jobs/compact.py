"""Compacting a store: shards that hold rows taken down, or few rows, are written anew without them."""

from collections.abc import Sequence
from dataclasses import dataclass

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.generation import at_generation, current, current_whole, publish, put_files
from datastore.generations.manifest import PASSAGES_CUT, TAKEN_DOWN, Manifest, ShardEntry
from datastore.generations.sweep import Swept, sweep
from datastore.takedown import Takedowns, without
from pipelines.execution.compare import COMPARE, COMPARE_NEW, read_by_compaction
from pipelines.execution.executor import Executor
from pipelines.execution.job import Job, begin, require_turn
from pipelines.execution.metering.measured import write_made, write_measured
from pipelines.execution.progress import BuildProgress
from pipelines.indexing.card import CardStage
from pipelines.indexing.compact import CompactStage, Group, entry_of, plan
from pipelines.jobs.add import require_codec
from retriever.encoding.checkpoint import Checkpoint, moved


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
                job.compare(COMPARE, read_by_compaction(manifest, rewritten))
                markers = job.perform(CompactStage(layout, manifest, groups))
                manifest = self._publish(job, compacted(manifest, groups, markers))
            job.finish()
            return manifest, sweep(self.layout)

    def _publish(self, job: Job, manifest: Manifest) -> Manifest:
        job.compare(COMPARE_NEW, {*manifest.files} - {*current(self.layout).files})
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
            shard = entry_of(marker, shard.codes is not None)
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
