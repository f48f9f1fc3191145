"""A whole build: the stages in order, its three barriers, resume, and publication.

Decisions: docs/decisions/laws-and-bytes.md.
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current, publish, published, put_files
from datastore.generations.manifest import FileEntry, IndexEntry, Manifest
from datastore.integrity import file_problem
from datastore.objects.origin import Origin, address_of
from pipelines.config import BuildConfig
from pipelines.contamination.table import sought_by
from pipelines.corpus.ingestion import Held, Ingestion
from pipelines.corpus.models import pinned
from pipelines.corpus.sources import Corpus, begun_at, resolve
from pipelines.execution.compare import COMPARE_NEW
from pipelines.execution.executor import Executor, RayExecutor, fitting
from pipelines.execution.job import Job, only_file, pending
from pipelines.execution.metering.measured import write_made, write_measured
from pipelines.execution.progress import BuildProgress
from pipelines.indexing.card import CardStage
from pipelines.indexing.index import TrainStage, dimension_of, index_key
from pipelines.indexing.lexical import mean_words
from pipelines.indexing.towers import Towers
from pipelines.jobs.given import Given
from pipelines.jobs.ingest import Ingest, named, require_passages, settings, unnamed
from pipelines.jobs.target import check_target
from retriever.index.probation import require_usable
from retriever.index.sizing import IndexKey


@dataclass(frozen=True)
class Build:
    """One build of one store."""

    layout: Layout
    config: BuildConfig
    executor: Executor
    progress: BuildProgress

    def run(self) -> Manifest:
        """Build, or go on building, and publish. Raises RalmError for what the user can mend."""
        check_target(self.layout)
        config = pinned(self.config)
        corpus = resolve(config, store=self.layout.root, begun=begun_at(self.layout))
        for note in corpus.notes:
            self.progress.say(note)
        towers = Towers.find(config)
        from retriever.encoding.encoder import (  # PyTorch takes a second: errors come before it.
            best_dtype,
            require,
        )

        device = self.config.device
        dtype = self.config.dtype if self.config.dtype != "auto" else best_dtype(device)
        self._check_index(towers)
        executor = fitting(self.executor, corpus.bytes)
        if not isinstance(executor, RayExecutor):  # A cluster's GPUs may be elsewhere.
            require(device)
        chosen = settings(config, corpus, towers, dtype)
        given = Given(self.layout, self.config)
        given.name_questions(chosen)
        table = self._told(given.table())
        job = Job(self.layout, executor, self.progress)
        with self.layout.lock():
            self._refuse_others(chosen, corpus)
            takedowns = given.begin_takedowns(chosen)
            self._remake_index(chosen)
            job.claim(chosen)
            self._require_whole()
            contamination = given.begin_decontamination(table)
            if not published(self.layout):
                held = Held(
                    takedowns=tuple(self.layout.root / entry.path for entry in takedowns),
                    contamination=self.layout.root / contamination.path if contamination else None,
                )
                usage = towers.passages.usage
                ingestion = Ingestion(self.layout, config, corpus, chosen["dtype"], held, usage)
                manifest = self._stages(Ingest(job, ingestion), towers, takedowns)
                manifest = manifest.model_copy(update={"contamination": contamination})
                self._publish(job, manifest, given)
            if pending(self.layout, current(self.layout)) is None:
                job.finish()
        return current(self.layout)

    def _publish(self, job: Job, manifest: Manifest, given: Given) -> None:
        """Compare what was written, measure it, and let the store be."""
        job.compare(COMPARE_NEW, manifest.files)
        job.perform(CardStage(self.layout, manifest, self.config.device))
        put_files(self.layout, manifest)
        with self.layout.publishing():
            manifest = given.with_late_takedowns(manifest)
            write_made(self.layout, manifest)
            publish(self.layout, manifest)
            write_measured(self.layout, manifest.generation)

    def _told(self, table: pa.RecordBatch | None) -> pa.RecordBatch | None:
        """The evaluation texts; says of which lines of their files there are none."""
        for file in sought_by(table) if table is not None else ():
            if file.warning:
                self.progress.say(file.warning)
        return table

    def _refuse_others(self, chosen: dict[str, Any], corpus: Corpus) -> None:
        """Refuse an address at which another build is published: nothing in this cache tells of that one."""
        if Origin.of(self.layout.root) is None or not published(self.layout):
            return
        there = current(self.layout)
        settings = [
            config | {"sources": [], "takedowns": None} for config in (there.config, chosen["config"])
        ]
        mine = (
            self.layout.build_file.exists()
            and settings[0] == settings[1]
            and there.sources[: len(corpus.sources)] == corpus.sources
            and there.encoder.weights_sha256 == chosen["encoder_sha256"]
            and there.encoder.for_queries.weights_sha256
            == chosen.get("query_encoder_sha256", chosen["encoder_sha256"])
        )
        if not mine:
            raise RalmError(
                f"{address_of(self.layout.root)} holds another datastore already: add to it with `ralm add`, "
                "or choose another address."
            )

    def _require_whole(self) -> None:
        """Refuse to call a store built that has lost a file since: what its stages worked on is gone."""
        if not published(self.layout) or Origin.of(self.layout.root) is not None:
            return
        for entry in current(self.layout).files:
            if problem := file_problem(self.layout, entry, full=False):
                raise RalmError(problem)

    def _check_index(self, towers: Towers) -> None:
        """Refuse an index that cannot be made of such vectors, or not there, before any are."""
        if self.config.index_key == "auto":
            return
        key = IndexKey.parse(self.config.index_key)
        if towers.passages.dimension is not None:
            key.check(towers.passages.dimension)
            require_usable(key, towers.passages.dimension)
        if self.config.device != "cpu" and not key.on_gpu:
            raise RalmError(
                f"{self.config.index_key} is not trained on a GPU: choose Flat, or IVF with PQ, SQ8 or "
                "SQfp16 codes, or --device cpu."
            )

    def _remake_index(self, chosen: dict[str, Any]) -> None:
        """The index comes last: until it is begun, its settings may still be mended."""
        if not self.layout.build_file.exists() or self.layout.done(TrainStage.name, 0) is not None:
            return
        before = self.layout.read_settings()
        index = {name: chosen["config"][name] for name in ("index_key", "index_memory", "index_recall")}
        if before["config"] | index != before["config"]:
            before["config"] |= index
            self.layout.write_settings(before)

    def _stages(self, ingest: Ingest, towers: Towers, takedowns: tuple[FileEntry, ...]) -> Manifest:
        layout, config, ingestion = self.layout, self.config, ingest.ingestion
        embedded = ingest.embed()
        require_passages(ingest.counts(), layout.root / "removed")
        ingested = ingest.index(embedded)
        (train,) = ingestion.markers(TrainStage)
        return Manifest(
            generation=1,
            next_shard=len(ingested.shards),
            sources=ingestion.corpus.sources,
            config=layout.read_settings()["config"],
            encoder=towers.card(dimension_of(layout), ingestion.dtype),
            index=IndexEntry(
                key=index_key(ingestion).text, recall=config.index_recall, trained=only_file(train)
            ),
            mean_words=mean_words(ingestion),
            shards=ingested.shards,
            domains=named(ingested.counts, "domain."),
            columns=named(ingested.counts, "column."),
            counts=unnamed(ingested.counts),
            documents=ingested.documents,
            passage_hashes=ingested.passage_hashes,
            line_hashes=ingested.line_hashes,
            near=ingested.near,
            takedowns=takedowns,
            removed=ingested.removed,
        )
