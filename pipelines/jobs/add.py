"""Adding to a store: new shards, encoded by the index as it was trained, published as a new generation.

What is added is what a build of both corpora would have made of the second, had its index been trained on
the first alone.

Decisions: docs/decisions/cards.md, generations-and-takedowns.md.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import at_generation, current, current_whole, publish, put_files
from datastore.generations.manifest import (
    DOUBTFUL,
    LINES_COMPARED,
    PASSAGES_CUT,
    Device,
    Manifest,
)
from datastore.integrity import require_whole
from datastore.takedown import Takedowns, without
from pipelines.config import BuildConfig, SourceConfig, checked_config
from pipelines.corpus.ingestion import Held, Ingestion, rows_of
from pipelines.corpus.models import located, pinned
from pipelines.corpus.sources import Corpus, begun_at, resolve
from pipelines.execution.compare import COMPARE, COMPARE_NEW, read_by_addition
from pipelines.execution.differences import differences
from pipelines.execution.executor import Executor, fitting
from pipelines.execution.job import Job, begin, discard, require_turn
from pipelines.execution.metering.measured import made, write_made, write_measured
from pipelines.execution.progress import BuildProgress
from pipelines.indexing.card import CardStage, copy_card
from pipelines.indexing.towers import Towers
from pipelines.jobs.ingest import Ingest, Ingested, named, settings, unnamed
from retriever.index.faiss_index import has_codec, read_trained


@dataclass(frozen=True)
class Addition:
    """One corpus to add to one store.

    `encoder` is where the store's own encoder lies, if it has moved, `query_encoder` where its tower for
    queries does, `models` where models of its filters may be found; `device` is the store's unless given.
    """

    layout: Layout
    sources: tuple[SourceConfig, ...]
    executor: Executor
    progress: BuildProgress
    limit: int | None = None
    encoder: str | None = None
    device: Device | None = None
    query_encoder: str | None = None
    models: tuple[Path, ...] = ()

    def run(self) -> tuple[Manifest, dict[str, int]]:
        """Add, or go on adding, and publish; with the counts of what was added.

        The generation stays the same if nothing was new. Raises RalmError for what the user can mend.
        """
        manifest = current_whole(self.layout)
        require_codec(self.layout, manifest)
        towers = Towers.of(manifest.encoder.at(self.encoder, self.query_encoder))
        config = pinned(located(self._config(manifest, towers), self.models))
        with self.layout.lock():
            manifest = current_whole(self.layout)  # Another addition may have come before the lock.
            if (found := self._published(config, towers, manifest)) is not None:
                return manifest, found
            layout = begin(self.layout, manifest, "add")
            corpus = resolve(config, manifest.sources, self.layout.root, begun_at(layout))
            job = Job(layout, fitting(self.executor, corpus.bytes), self.progress)
            for note in corpus.notes:
                self.progress.say(note)
            chosen = settings(config, corpus, towers, manifest.encoder.dtype)
            # Of a job that goes on, as of when it was begun.
            takedowns = [entry.path for entry in manifest.takedowns]
            if layout.build_file.exists():
                takedowns = layout.read_settings().get("takedowns", [])
            if not {entry.path for entry in manifest.takedowns}.issuperset(takedowns):
                raise RalmError(
                    f"{layout.build_file} is damaged: give up what was begun (`ralm discard`) and add again."
                )
            chosen["takedowns"] = takedowns
            if layout.build_file.exists():
                job.claim(chosen)  # Other settings are said before much is read.
            job.compare(COMPARE, read_by_addition(manifest))
            job.claim(chosen)
            held, usage = Held.by(layout, manifest, takedowns), towers.passages.usage
            ingest = Ingest(job, Ingestion(layout, config, corpus, manifest.encoder.dtype, held, usage))
            embedded = ingest.embed()
            if embedded.shards or rows_of([layout.root / file.path for file in ingest.files("documents/")]):
                # Without a shard, too: an id that came once is taken.
                manifest = self._publish(job, corpus, ingest.index(embedded))
                job.finish()
            else:
                discard(self.layout, manifest, keep_removed=True)
        return manifest, ingest.counts()

    def _published(self, config: BuildConfig, towers: Towers, manifest: Manifest) -> dict[str, int] | None:
        """What this addition added, if it was killed after it had published: it is not to begin anew."""
        job = Layout(self.layout.root, f"{manifest.edition:04d}-add")
        generation = made(job) if job.work.exists() and job.build_file.exists() else None
        if generation is None or not job.manifest(generation - 1).exists():
            return None
        before, after = (at_generation(job, n) for n in (generation - 1, generation))
        corpus = resolve(config, before.sources, job.root, begun_at(job))
        chosen = settings(config, corpus, towers, manifest.encoder.dtype)
        begun = {name: value for name, value in job.read_settings().items() if name in chosen}
        if differences(begun, chosen):
            return None
        write_measured(job, generation)
        Job(job, self.executor, self.progress).finish()
        added = {name: count - before.counts.get(name, 0) for name, count in after.counts.items()}
        # As a job counts that was not killed: of reasons those alone that it met.
        return {name: n for name, n in added.items() if n or not ("." in name or name == DOUBTFUL)}

    def _config(self, manifest: Manifest, towers: Towers) -> BuildConfig:
        """As the store was built, for other sources; passages alone are embedded."""
        changed = {
            "sources": [source.model_dump() for source in self.sources],
            "limit": self.limit,
            "encoder": towers.passages.name,
            "query_encoder": None,
            **towers.passages.given.to_json(),
            "index_key": manifest.index.key,
            "takedowns": None,
            "device": self.device or manifest.config["device"],
        }
        return checked_config(manifest.config | changed)

    def _publish(self, job: Job, corpus: Corpus, ingested: Ingested) -> Manifest:
        grown = self._grown(job.layout, corpus, ingested)
        before = current(self.layout)
        job.compare(COMPARE_NEW, {*grown.files} - {*before.files})
        if not copy_card(job.layout, before, grown) and ingested.shards:
            encoder = self.query_encoder if grown.encoder.query else self.encoder
            job.perform(CardStage(job.layout, grown, self.device or grown.config["device"], encoder))
        put_files(self.layout, grown)
        with self.layout.publishing():
            # Something may have been taken down since, from what was there and from what is new.
            manifest = self._grown(job.layout, corpus, ingested)
            takedowns = Takedowns.load(self.layout, manifest)
            manifest = without(self.layout, manifest, takedowns, len(manifest.shards) - len(ingested.shards))
            write_made(job.layout, manifest)
            publish(self.layout, manifest)
            write_measured(job.layout, manifest.generation)
        return manifest

    def _grown(self, layout: Layout, corpus: Corpus, ingested: Ingested) -> Manifest:
        """The current generation with the new shards."""
        before, counts = current(self.layout), ingested.counts
        require_turn(layout, before)
        sources = [*before.config["sources"], *layout.read_settings()["config"]["sources"]]
        return before.model_copy(
            update={
                "generation": before.generation + 1,
                "edition": before.edition + 1,
                "next_shard": before.next_shard + len(ingested.shards),
                "sources": (*before.sources, *corpus.sources),
                "config": before.config | {"sources": sources},
                "shards": (*before.shards, *ingested.shards),
                "domains": _sum(before.domains, named(counts, "domain.")),
                "columns": _sum(before.columns, named(counts, "column.")),
                "counts": _sum(before.counts, _summable(before.counts, unnamed(counts))),
                "documents": (*before.documents, *ingested.documents),
                "passage_hashes": (*before.passage_hashes, *ingested.passage_hashes),
                "line_hashes": (*before.line_hashes, *ingested.line_hashes),
                "near": (*before.near, *ingested.near),
                "removed": (*before.removed, *ingested.removed),
            }
        )


def require_codec(layout: Layout, manifest: Manifest) -> None:
    """Raise RalmError if shards cannot be added to a store's index or taken out of it."""
    require_whole(layout.root, [manifest.index.trained])
    if not has_codec(read_trained(layout.root / manifest.index.trained.path)):
        raise RalmError(
            f"The index {manifest.index.key} is one graph over all passages and cannot be changed: build "
            "again, or with an IVF or Flat index."
        )


def _summable(before: dict[str, int], added: dict[str, int]) -> dict[str, int]:
    """What was counted, without totals that an early store does not have: they would be of a part of it."""
    return {
        name: n for name, n in added.items() if name in before or name not in (PASSAGES_CUT, LINES_COMPARED)
    }


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    total = Counter(one)
    total.update(other)
    return dict(sorted(total.items()))
