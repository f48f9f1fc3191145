"""A corpus to the shards of a store: what a build and an addition have in common.

The stages of `stages.py`, in their order. Between them passages and vectors are put where a store keeps them.

Decisions: docs/decisions/laws-and-bytes.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from base.amounts import amount
from base.errors import RalmError
from datastore.files.markers import Marker
from datastore.generations.manifest import Dtype, FileEntry, ShardEntry
from pipelines.config import BuildConfig
from pipelines.corpus.ingestion import Ingestion, IngestStage, Undecided, summed
from pipelines.corpus.models import anonymous
from pipelines.corpus.sources import Corpus
from pipelines.execution.job import Job, only_file
from pipelines.indexing.embed import embeds_early
from pipelines.indexing.embed_early import place_vectors
from pipelines.indexing.index import EncodeStage
from pipelines.indexing.lexical import LexicalStage
from pipelines.indexing.towers import Towers
from pipelines.jobs import stages
from pipelines.passages.shards import NumberedShard, numbered, take_places
from retriever.encoding.checkpoint import Checkpoint
from retriever.index.sizing import IndexKey


@dataclass(frozen=True)
class Embedded:
    """Shards with their vectors."""

    shards: tuple[NumberedShard, ...]
    vectors: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Ingested:
    """What an ingestion gives a manifest: its shards, what was counted on the way, the files beside them."""

    shards: tuple[ShardEntry, ...]
    counts: dict[str, int]
    documents: tuple[FileEntry, ...]
    passage_hashes: tuple[FileEntry, ...]
    line_hashes: tuple[FileEntry, ...]
    near: tuple[FileEntry, ...]
    removed: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Ingest:
    """The way of one corpus into one store, and the job that carries it out."""

    job: Job
    ingestion: Ingestion

    def embed(self) -> Embedded:
        """Read, filter, compare, cut and embed. No shards if nothing is left."""
        ingestion = self.ingestion
        self._perform(stages.TO_PASSAGES)
        shards = numbered(ingestion)
        take_places(ingestion.layout, shards)
        if not embeds_early(ingestion):
            self._require_learnable(sum(shard.rows for shard in shards))
        self._perform(stages.TO_VECTORS)
        return Embedded(shards, place_vectors(ingestion))

    def index(self, embedded: Embedded) -> Ingested:
        """Train the index unless the store has one, and encode the shards with it, for BM25 too."""
        self._perform(stages.TO_INDEX)
        return Ingested(
            self._entries(embedded),
            self.counts(),
            self.files("documents/"),
            self.files("passage-hashes/"),
            self.files("line-hashes/"),
            self.files("near/"),
            self.files("removed/"),
        )

    def counts(self) -> dict[str, int]:
        """What the stages done so far have counted, by the names that it has in the manifest."""
        ingestion = self.ingestion
        found = summed(counted_markers(ingestion))
        for kind in stages.INGESTING:
            if kind.name in ingestion.left:
                found |= kind.totals(ingestion)
        return found | {"ignored_files": len(ingestion.corpus.ignored)}

    def files(self, folder: str) -> tuple[FileEntry, ...]:
        """The files in one folder of the store that the stages done so far have written."""
        markers = [marker for kind in stages.INGESTING for marker in self.ingestion.left.get(kind.name, ())]
        return tuple(FileEntry.of(f) for m in markers for f in m.files if f.path.startswith(folder))

    def _entries(self, embedded: Embedded) -> tuple[ShardEntry, ...]:
        shards, left = embedded.shards, self.ingestion.left
        codes = left[EncodeStage.name]
        lexical: Sequence[Marker | None] = left.get(LexicalStage.name) or [None] * len(shards)
        return tuple(
            ShardEntry(
                first_row=shard.first_row,
                rows=shard.rows,
                passages=FileEntry.of(shard.passages),
                vectors=vectors,
                codes=only_file(code) if code.files else None,
                lexical=tuple(map(FileEntry.of, words.files)) if words else None,
            )
            for shard, vectors, code, words in zip(shards, embedded.vectors, codes, lexical, strict=True)
        )

    def _perform(self, kinds: Sequence[type[IngestStage]]) -> None:
        """Carry out the stages that the job has, one after another but for those that go beside others."""
        ingestion, left = self.ingestion, self.ingestion.left
        for kind in kinds:
            if kind.name in left or not kind.asked(ingestion):
                continue
            stage, beside = kind.of(ingestion), self._beside(kind)
            if beside is None:
                left[kind.name] = self.job.perform(stage)
            else:
                left[kind.name], left[beside.name] = self.job.perform_both(stage, beside)

    def _beside(self, kind: type[IngestStage]) -> IngestStage | None:
        """The stage that the job carries out at the same time, if it has one."""
        for other in stages.INGESTING:
            if other.beside == kind.name and other.asked(self.ingestion):
                return other.of(self.ingestion)
        return None

    def _require_learnable(self, rows: int) -> None:
        """Refuse an index that so few cannot teach, before they are embedded; additions have theirs."""
        config, held = self.ingestion.config, self.ingestion.held
        if config.index_key != "auto" and not held.first_shard and rows:
            dimension = Checkpoint.find(config.encoder, self.ingestion.usage).dimension or 0
            IndexKey.parse(config.index_key).require_passages(rows, dimension)


def counted_markers(ingestion: Ingestion) -> list[Marker]:
    """The markers of the tasks done so far whose counts enter the manifest: of each task the last word."""
    found: dict[tuple[str, int], Marker] = {}
    for kind in stages.INGESTING:
        if kind.counts and kind.asked(ingestion):
            for number, marker in enumerate(_done(ingestion, kind)):
                if marker is not None:
                    found[kind.replaces or kind.name, number] = marker
    return list(found.values())


def _done(ingestion: Ingestion, kind: type[IngestStage]) -> Sequence[Marker | None]:
    """What the tasks of a stage have left so far, by their number."""
    if kind.name in ingestion.left:
        return ingestion.left[kind.name]
    try:
        return [ingestion.layout.done(kind.name, number) for number in range(kind.tasks(ingestion))]
    except Undecided:
        return []


def settings(config: BuildConfig, corpus: Corpus, towers: Towers, dtype: Dtype) -> dict[str, Any]:
    """All that the shards' bytes follow from, as JSON."""
    content = anonymous(config).model_dump(mode="json")
    # Where the corpus lies changes nothing: its names and sizes are in the fingerprint.
    content["sources"] = [
        source | {"path": entry.name}
        for source, entry in zip(content["sources"], corpus.sources, strict=True)
    ]
    return {
        "config": content,
        "dtype": dtype,
        **towers.settings(),
        "splits": corpus.fingerprint(),
        "ignored": list(corpus.ignored),
    }


def require_passages(counts: Mapping[str, int], where: Path) -> None:
    """Raise RalmError for a corpus that gives none."""
    if not counts["passages"]:
        raise RalmError(
            f"The corpus gives no passage: {amount(counts['records'], 'records')} read, "
            f"{counts['unreadable']:,} unreadable, {amount(counts['documents'], 'documents')}, none left "
            f"after filtering (see {where}).{_first_unreadable(where)}"
        )


def _first_unreadable(where: Path) -> str:
    """What is wrong with the first record that could not be read, if there is one."""
    for path in sorted((where / "unreadable").glob("*.jsonl")):
        with open(path, "rb") as handle:
            first = orjson.loads(handle.readline())
        return (
            f" The first of the unreadable is record {first['record']} of {first['file']}: {first['reason']}."
        )
    return ""


def named(counts: dict[str, int], prefix: str) -> dict[str, int]:
    """The counts whose name begins with a prefix, by the rest of their name."""
    return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}


def unnamed(counts: dict[str, int]) -> dict[str, int]:
    """The counts that are of documents, not of domains or metadata columns."""
    return {n: c for n, c in counts.items() if not n.startswith(("domain.", "column."))}
