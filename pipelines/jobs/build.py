"""A whole build: the stages in order, its three barriers, resume, and publication."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.generation import current, publish, published, put_files
from datastore.generations.manifest import FileEntry, IndexEntry, Manifest
from datastore.integrity import compare
from datastore.objects.origin import Origin, address_of, locate
from datastore.shard import file_problem
from datastore.takedown import Takedowns, without
from pipelines.config import BuildConfig
from pipelines.contamination.table import make_table, question_files, sought_by
from pipelines.corpus.ingestion import Held, Ingestion
from pipelines.corpus.models import pinned
from pipelines.corpus.sources import Corpus, begun_at, resolve
from pipelines.execution.compare import COMPARE_NEW
from pipelines.execution.executor import Executor, RayExecutor, fitting
from pipelines.execution.job import Job, only_file, pending
from pipelines.execution.measured import write_made, write_measured
from pipelines.execution.progress import BuildProgress
from pipelines.indexing.card import CardStage
from pipelines.indexing.index import TrainStage, dimension_of, index_key
from pipelines.indexing.lexical import mean_words
from pipelines.indexing.towers import Towers
from pipelines.jobs.ingest import Ingest, named, require_passages, settings, unnamed
from pipelines.passages.parts import write_batch
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
        self._name_questions(chosen)
        table = self._table()
        job = Job(self.layout, executor, self.progress)
        with self.layout.lock():
            self._refuse_others(chosen, corpus)
            takedowns = self._begin_takedowns(chosen)
            self._remake_index(chosen)
            job.claim(chosen)
            self._require_whole()
            contamination = self._begin_decontamination(table)
            if not published(self.layout):
                held = Held(
                    takedowns=tuple(self.layout.root / entry.path for entry in takedowns),
                    contamination=self.layout.root / contamination.path if contamination else None,
                )
                usage = towers.passages.usage
                ingestion = Ingestion(self.layout, config, corpus, chosen["dtype"], held, usage)
                manifest = self._stages(Ingest(job, ingestion), towers, takedowns)
                manifest = manifest.model_copy(update={"contamination": contamination})
                job.compare(COMPARE_NEW, manifest.files)
                job.perform(CardStage(self.layout, manifest, self.config.device))
                put_files(self.layout, manifest)
                with self.layout.publishing():
                    manifest = self._with_late_takedowns(manifest)
                    write_made(self.layout, manifest)
                    publish(self.layout, manifest)
                    write_measured(self.layout, manifest.generation)
            if pending(self.layout, current(self.layout)) is None:
                job.finish()
        return current(self.layout)

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

    def _begin_takedowns(self, chosen: dict[str, Any]) -> tuple[FileEntry, ...]:
        """The list that documents are kept out by: of a build that goes on, as of when it was begun."""
        takedowns, path = _takedowns(self.config), self.layout.takedowns(0)
        if takedowns is None:
            return ()
        made = not path.exists() or not self.layout.build_file.exists()
        if made:
            takedowns.write(self.layout, 0)
        # The list itself is in the store; which file or store it was read from changes nothing.
        chosen["config"]["takedowns"] = "000000.jsonl"
        return (self._fixed("takedowns", path, made),)

    def _table(self) -> pa.RecordBatch | None:
        """The evaluation texts to be looked for, before anything is written; None if the store has them."""
        settings, written = self.config.decontaminate, self.layout.contamination.exists()
        if settings is None or (written and self.layout.build_file.exists()):
            return None
        table = make_table(settings)
        for file in sought_by(table):
            if file.warning:
                self.progress.say(file.warning)
        return table

    def _name_questions(self, chosen: dict[str, Any]) -> None:
        """What question files are called, and what is in them, decides; where they lie does not."""
        if self.config.decontaminate is not None:
            chosen["questions"] = question_files(self.config.decontaminate)
            chosen["config"]["decontaminate"]["files"] = list(chosen["questions"])

    def _begin_decontamination(self, table: pa.RecordBatch | None) -> FileEntry | None:
        """The file that passages are checked by."""
        path = self.layout.contamination
        if table is not None:
            self.layout.write(path, partial(write_batch, batch=table))
        if self.config.decontaminate is None:
            return None
        return self._fixed("contamination", path, table is not None)

    def _fixed(self, name: str, path: Path, made: bool) -> FileEntry:
        """A file that all tasks go by, as it was `made`, now or when the build was begun."""
        marker = None if made else self.layout.done(name, 0)
        if marker is None:
            marker = Marker(files=(self.layout.info(path),))
            self.layout.mark(name, 0, marker)
        compare(path, marker.files[0])
        return FileEntry.of(marker.files[0])

    def _with_late_takedowns(self, manifest: Manifest) -> Manifest:
        """Hide what has been taken down since the build was begun: it may have taken days."""
        takedowns = _takedowns(self.config)
        if takedowns is None:
            return manifest
        late = Takedowns(takedowns.documents - Takedowns.load(self.layout, manifest).documents)
        if not late.documents:
            return manifest
        listed = (*manifest.takedowns, late.write(self.layout, manifest.generation))
        return without(self.layout, manifest.model_copy(update={"takedowns": listed}), late)

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
        require_passages(embedded, layout.root / "removed")
        shards = ingest.index(embedded)
        (train,) = ingestion.markers(TrainStage)
        return Manifest(
            generation=1,
            next_shard=len(embedded.shards),
            sources=ingestion.corpus.sources,
            config=layout.read_settings()["config"],
            encoder=towers.card(dimension_of(layout), ingestion.dtype),
            index=IndexEntry(
                key=index_key(ingestion).text, recall=config.index_recall, trained=only_file(train)
            ),
            mean_words=mean_words(ingestion),
            shards=shards,
            domains=named(embedded.counts, "domain."),
            columns=named(embedded.counts, "column."),
            counts=unnamed(embedded.counts),
            documents=embedded.documents,
            passage_hashes=embedded.passage_hashes,
            line_hashes=embedded.line_hashes,
            near=embedded.near,
            takedowns=takedowns,
            removed=embedded.removed,
        )


def _takedowns(config: BuildConfig) -> Takedowns | None:
    """The documents that must not come in: a file's, or all that another store has taken down."""
    if config.takedowns is None:
        return None
    path = locate(config.takedowns)
    if not path.is_dir():
        return Takedowns.read([path])
    return Takedowns.load(Layout(path), current(Layout(path)))


def check_target(layout: Layout) -> None:
    """Refuse a path that holds something else than a store, before anything is written to it."""
    root = layout.root
    if root.exists() and not root.is_dir():
        raise RalmError(f"{root} is a file: choose a new or an empty folder for the store.")
    if not root.is_dir() or layout.build_file.exists():
        return
    if published(layout):
        current(layout)  # Refuses a manifest.json that is none of ours.
        return
    origin = Origin.of(root)
    if origin is not None:
        if strangers := origin.strangers():
            name = address_of(root)
            raise RalmError(f"{name} holds something else ({strangers[0]}): choose a new or an empty prefix.")
        return
    # A build killed before it fixed its settings leaves a lock, empty folders and its takedowns.
    strangers = [p.name for p in root.iterdir() if p.name not in ("lock", "stages", "takedowns")]
    if strangers:
        raise RalmError(f"{root} holds something else ({strangers[0]}): choose a new or an empty folder.")
