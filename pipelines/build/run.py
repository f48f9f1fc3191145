"""A whole build: the stages in order, its three barriers, resume, and publication.

Everything decided here is decided before the first task and written to `stages/build.json`, so a
build that is killed and started again goes on as the same build.
"""

import shutil
from dataclasses import dataclass
from typing import Any

from datastore.errors import RalmError
from datastore.layout import Layout, Marker, read_json, write_json
from datastore.manifest import (
    FileEntry,
    IndexEntry,
    Manifest,
    ShardEntry,
    current,
    publish,
    published,
)
from datastore.store import open_array
from pipelines.build.card import CardStage
from pipelines.build.chunk import ChunkStage
from pipelines.build.dedup import DedupStage, partition_count
from pipelines.build.embed import EmbedStage
from pipelines.build.executor import Executor
from pipelines.build.index import EncodeStage, TrainStage
from pipelines.build.lexical import LengthStage, LexicalStage
from pipelines.build.progress import BuildProgress, Silent
from pipelines.build.read import ReadStage, ScanStage, number_records
from pipelines.build.shards import number_shards, take_places
from pipelines.build.sources import Corpus, resolve
from pipelines.build.stage import Stage
from pipelines.config import BuildConfig
from retriever.checkpoint import Checkpoint
from retriever.sizing import IndexKey, choose_key, parse_bytes


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
        corpus = resolve(self.config)
        checkpoint = Checkpoint.find(self.config.encoder)
        settings = self._settings(corpus, checkpoint)
        with self.layout.lock():
            self._claim(settings)
            if not published(self.layout):
                manifest = self._stages(corpus, checkpoint, settings["dtype"])
                self._perform(CardStage(self.layout, manifest))
                publish(self.layout, manifest)
            shutil.rmtree(self.layout.work, ignore_errors=True)
        return current(self.layout)

    def _settings(self, corpus: Corpus, checkpoint: Checkpoint) -> dict[str, Any]:
        """All that the store's bytes follow from, as JSON."""
        from retriever.encoder import best_dtype

        config = self.config.model_dump(mode="json")
        dtype = config["dtype"] if config["dtype"] != "auto" else best_dtype()
        # Where the corpus lies changes nothing: its names and sizes are in the fingerprint.
        config["sources"] = [
            source | {"path": entry.name}
            for source, entry in zip(config["sources"], corpus.sources, strict=True)
        ]
        return {
            "config": config,
            "dtype": dtype,
            "encoder_sha256": checkpoint.weights_sha256,
            "splits": corpus.fingerprint(),
            "ignored": list(corpus.ignored),
        }

    def _claim(self, settings: dict[str, Any]) -> None:
        """Fix this build's settings, or compare them with those it was begun with."""
        path = self.layout.build_file
        if not path.exists():
            write_json(path, settings)
            return
        before = read_json(path)
        if self.layout.done(TrainStage.name, 0) is None:
            # The index comes last: until it is begun, its settings may still be mended.
            chosen = {
                name: settings["config"][name] for name in ("index_key", "index_memory", "index_recall")
            }
            if before["config"] | chosen != before["config"]:
                before["config"] |= chosen
                write_json(path, before)
        for name, begun in before.items():
            if settings.get(name) != begun:
                what = _difference(name, begun, settings.get(name))
                raise RalmError(
                    f"{self.layout.root} was begun with other settings ({what}): use those again, or "
                    "choose another folder."
                )

    def _stages(self, corpus: Corpus, checkpoint: Checkpoint, dtype: Any) -> Manifest:
        layout, config = self.layout, self.config
        scan = ScanStage(layout, tuple(s for s in corpus.splits if s.partial))
        if scan.splits:
            self._perform(scan)
            corpus = number_records(corpus, layout, scan)
        read = self._perform(ReadStage(layout, config, corpus), in_order=config.limit is not None)

        documents = tuple(marker.counts["kept"] for marker in read)
        self._perform(DedupStage(layout, "id", documents))
        self._perform(DedupStage(layout, "text", documents))
        chunk = self._perform(ChunkStage(layout, config, documents, partition_count(sum(documents))))
        counts = add_counts(read, chunk) | {"ignored_files": len(corpus.ignored)}
        if not counts["passages"]:
            raise RalmError(
                f"The corpus gives no passage: {counts['records']} records read, "
                f"{counts['unreadable']} unreadable, {counts['documents']} documents, none left after "
                f"filtering (see {layout.root / 'removed'})."
            )

        shards = tuple(number_shards(layout, chunk, config.passages_per_shard))
        take_places(layout, shards)
        rows = tuple(shard.rows for shard in shards)
        embed = self._perform(EmbedStage(layout, config.encoder, dtype, shards))
        dimension = open_array(layout.vectors(0)).shape[1]
        key = self._index_key(sum(rows), dimension)
        (train,) = self._perform(TrainStage(layout, key, config.seed, rows))
        index = self._perform(EncodeStage(layout, key, rows))
        lexical = self._lexical(rows) if config.lexical else None
        removed = [f for m in (*read, *chunk) for f in m.files if f.path.startswith("removed/")]
        return Manifest(
            generation=1,
            sources=corpus.sources,
            config=read_json(layout.build_file)["config"],
            encoder=checkpoint.card(dimension, dtype),
            index=IndexEntry(key=key.text, recall=config.index_recall, trained=_entry(train)),
            shards=tuple(
                ShardEntry(
                    first_row=shard.first_row,
                    rows=shard.rows,
                    passages=FileEntry.of(shard.passages),
                    vectors=_entry(vectors),
                    codes=_entry(codes) if codes.files else None,
                    lexical=tuple(map(FileEntry.of, lexical[shard.number].files)) if lexical else None,
                )
                for shard, vectors, codes in zip(shards, embed, index, strict=True)
            ),
            domains=named(counts, "domain."),
            columns=named(counts, "column."),
            counts={n: c for n, c in counts.items() if not n.startswith(("domain.", "column."))},
            removed=tuple(FileEntry.of(info) for info in removed),
        )

    def _lexical(self, rows: tuple[int, ...]) -> list[Marker]:
        lengths = self._perform(LengthStage(self.layout, rows))
        mean = max(1.0, sum(m.counts["words"] for m in lengths) / sum(rows))
        return self._perform(LexicalStage(self.layout, rows, mean))

    def _index_key(self, rows: int, dimension: int) -> IndexKey:
        if self.config.index_key == "auto":
            memory = parse_bytes(self.config.index_memory)
            return choose_key(rows, dimension, memory, self.config.index_recall)
        return IndexKey.parse(self.config.index_key)

    def _perform(self, stage: Stage, in_order: bool = False) -> list[Marker]:
        """Carry out what is left of a stage; return the markers of all its tasks."""
        sizes = stage.sizes()
        left = [n for n in range(len(sizes)) if self.layout.done(stage.name, n) is None]
        if left:
            done = sum(sizes) - sum(sizes[n] for n in left)
            # A stage without work, such as training a Flat index, is done but not shown.
            progress = self.progress if sum(sizes) else Silent()
            progress.start(stage.name, stage.unit, sum(sizes), done)
            self.executor.run(stage, left, lambda number: progress.advance(sizes[number]), in_order)
            progress.finish()
        markers = [self.layout.done(stage.name, n) for n in range(len(sizes))]
        if None in markers:
            raise RalmError(
                f"Task {markers.index(None)} of {stage.name} left no marker in {self.layout.root}: does "
                "every node of the cluster see that folder?"
            )
        return [marker for marker in markers if marker is not None]


def _entry(marker: Marker) -> FileEntry:
    (info,) = marker.files
    return FileEntry.of(info)


def _difference(name: str, begun: Any, now: Any) -> str:
    if isinstance(begun, dict) and isinstance(now, dict):
        for key in begun:
            if begun[key] != now.get(key):
                return _difference(key, begun[key], now.get(key))
    if name == "splits":
        return "the source files or their sizes have changed"
    if isinstance(begun, list):
        return f"{name} have changed"
    return f"{name} was {begun}, not {now}"


def add_counts(read: list[Marker], chunk: list[Marker]) -> dict[str, int]:
    """Sum the counts of a build's stages; `kept` is between stages and left out."""
    names = [
        "records",
        "blank",
        "unreadable",
        "documents",
        "indexed",
        "passages",
        "tokens",
        "truncated",
    ]
    found = dict.fromkeys(names, 0)
    for marker in (*read, *chunk):
        for name, count in marker.counts.items():
            found[name] = found.get(name, 0) + count
    found.pop("kept", None)
    return dict(sorted(found.items()))


def named(counts: dict[str, int], prefix: str) -> dict[str, int]:
    """The counts whose name begins with a prefix, by the rest of their name."""
    return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}


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
    # A build killed before it fixed its settings leaves a lock and empty folders.
    strangers = [p.name for p in root.iterdir() if p.name not in ("lock", "stages")]
    if strangers:
        raise RalmError(f"{root} holds something else ({strangers[0]}): choose a new or an empty folder.")
