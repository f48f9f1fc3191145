"""A corpus to the shards of a store: what a build and an addition have in common.

Everything but the training of the index: read, drop what is there already, cut, number, embed, encode.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from base.amounts import amount
from base.errors import RalmError
from datastore.files.markers import Marker
from datastore.generations.manifest import LINES_COMPARED, Dtype, FileEntry, ShardEntry
from pipelines.config import BuildConfig
from pipelines.corpus.models import anonymous
from pipelines.corpus.read import ReadStage, ScanStage, number_records
from pipelines.corpus.sources import Corpus
from pipelines.duplicates.dedup import NOTHING, By, DedupStage, Held
from pipelines.duplicates.lines import LineStage
from pipelines.duplicates.near import ClusterStage, PairStage, SignStage, VerifyStage
from pipelines.duplicates.repeats import RepeatStage
from pipelines.execution.job import Job, only_file
from pipelines.indexing.embed import EarlyEmbedStage, EmbedStage, JoinStage, take_vectors, vectors_of
from pipelines.indexing.index import EncodeStage
from pipelines.indexing.lexical import LengthStage, LexicalStage
from pipelines.indexing.towers import Towers
from pipelines.passages.chunk import ChunkStage
from pipelines.passages.shards import NumberedShard, number_shards, take_places
from pipelines.passages.thin import ThinStage
from pipelines.passages.unknown import totals
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.usage import AS_STATED, Usage
from retriever.index.sizing import IndexKey


@dataclass(frozen=True)
class Embedded:
    """Shards with their vectors, what was counted on the way to them, and the files beside them."""

    shards: tuple[NumberedShard, ...]
    vectors: tuple[FileEntry, ...]
    counts: dict[str, int]
    documents: tuple[FileEntry, ...]
    passage_hashes: tuple[FileEntry, ...]
    line_hashes: tuple[FileEntry, ...]
    near: tuple[FileEntry, ...]
    removed: tuple[FileEntry, ...]


class _Cut(NamedTuple):
    """Documents cut and embedded: markers of cutting, and of the stage that wrote the shards as they are."""

    chunk: Sequence[Marker]
    last: Sequence[Marker]
    shards: tuple[NumberedShard, ...]
    vectors: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Ingest:
    """The way of one corpus into one store."""

    job: Job
    config: BuildConfig
    corpus: Corpus
    dtype: Dtype
    held: Held = NOTHING
    usage: Usage = AS_STATED

    def embed(self) -> Embedded:
        """Read, filter, compare, cut and embed. No shards if nothing is left."""
        layout, config, corpus = self.job.layout, self.config, self.corpus
        scan = ScanStage(layout, tuple(s for s in corpus.splits if s.partial))
        if scan.splits:
            self.job.perform(scan)
            corpus = number_records(corpus, layout, scan)
        reading = ReadStage(layout, config, corpus, self.held.takedowns)
        read = self.job.perform(reading, in_order=config.limit is not None)

        documents = tuple(marker.counts["kept"] for marker in read)
        unique, signed = self._compare(documents)
        lines, compared = self._repeated_lines(documents, unique)
        sources = tuple(corpus.sources[split.source].name for split in corpus.splits)
        cut = ChunkStage(
            layout, config, documents, unique, self.held.contamination, lines, self.usage, sources
        )
        done = self._cut_while_embedding(cut) if config.embeds_early else self._cut_then_embed(cut)
        return Embedded(
            done.shards,
            done.vectors,
            add_counts([*read, *done.last])
            | compared
            | totals(sources, done.last)
            | {"ignored_files": len(corpus.ignored)},
            _files(done.last, "documents/"),
            _files(done.last, "passage-hashes/"),
            _files(done.chunk, "line-hashes/"),
            _files(signed, "near/"),
            _files([*read, *done.chunk, *(done.last if done.last is not done.chunk else ())], "removed/"),
        )

    def _cut_then_embed(self, cut: ChunkStage) -> "_Cut":
        """Shards are embedded when all have their numbers, block by block, so that all cores have work."""
        chunk = self.job.perform(cut)
        last = self._without_repeats(chunk)
        shards = self._number(last)
        self._require_learnable(sum(shard.rows for shard in shards))
        stage = EmbedStage(
            self.job.layout, self.config.encoder, self.dtype, shards, self.config.device, self.usage
        )
        embedded = self.job.perform(stage)
        joined = self.job.perform(JoinStage(self.job.layout, shards, self.config.device))
        return _Cut(chunk, last, shards, vectors_of(self.job.layout, shards, [*embedded, *joined]))

    def _require_learnable(self, rows: int) -> None:
        """Refuse an index that so few cannot teach, before they are embedded; additions have theirs."""
        if self.config.index_key != "auto" and not self.held.first_shard and rows:
            dimension = Checkpoint.find(self.config.encoder, self.usage).dimension or 0
            IndexKey.parse(self.config.index_key).require_passages(rows, dimension)

    def _cut_while_embedding(self, cut: ChunkStage) -> "_Cut":
        """Cores cut while a GPU embeds what is cut: neither waits for the other."""
        layout, config = self.job.layout, self.config
        per_shard = config.passages_per_shard
        stage = EarlyEmbedStage(
            layout, config.encoder, self.dtype, cut.documents, per_shard, config.device, self.usage
        )
        chunk, embedded = self.job.perform_both(cut, stage)
        shards = self._number(chunk)
        return _Cut(chunk, chunk, shards, take_vectors(layout, shards, embedded))

    def _number(self, chunk: Sequence[Marker]) -> tuple[NumberedShard, ...]:
        layout, held = self.job.layout, self.held
        shards = number_shards(
            layout, chunk, self.config.passages_per_shard, held.first_shard, held.first_row
        )
        take_places(layout, shards)
        return tuple(shards)

    def _repeated_lines(
        self, documents: tuple[int, ...], unique: dict[By, int]
    ) -> tuple[int, dict[str, int]]:
        """Look for lines that occurred before: in how many ranges (0 if they stay), and the count of all."""
        layout, settings = self.job.layout, self.config.duplicate_lines
        if settings is None:
            return 0, {}
        lines = self.job.perform(LineStage(layout, settings, documents, unique))
        texts = tuple(marker.counts["lines"] for marker in lines)
        repeats = RepeatStage(layout, "line", texts, self.held)
        self.job.perform(repeats)
        return repeats.ranges, {LINES_COMPARED: sum(texts)}

    def _without_repeats(self, chunk: list[Marker]) -> list[Marker]:
        """The splits' shards without passages that occurred before, if the configuration says so."""
        if not self.config.drops_passages:
            return chunk
        passages = tuple(marker.counts["passages"] for marker in chunk)
        repeats = RepeatStage(self.job.layout, "passage", passages, self.held)
        self.job.perform(repeats)
        return self.job.perform(ThinStage(self.job.layout, self.config, passages, repeats.ranges, self.usage))

    def _compare(self, documents: tuple[int, ...]) -> tuple[dict[By, int], list[Marker]]:
        """Find duplicates: in which ways, in how many partitions each, and what signing them gave."""
        layout, near = self.job.layout, self.config.near_duplicates
        by_id = DedupStage(layout, "id", documents, self.held)
        self.job.perform(by_id)
        exact = by_id.partitions
        if self.config.duplicate_text == "keep":
            return {"id": exact}, []
        self.job.perform(DedupStage(layout, "text", documents, self.held))
        if near is None:
            return {"id": exact, "text": exact}, []
        signed = self.job.perform(SignStage(layout, near, documents, exact))
        pairs = PairStage(layout, tuple(marker.counts["keys"] for marker in signed), self.held)
        self.job.perform(pairs)
        verified = self.job.perform(VerifyStage(layout, near, documents, pairs.ranges, self.held))
        edges = tuple(marker.counts["near"] for marker in verified)
        clusters = self.job.perform(ClusterStage(layout, edges, self.held))
        return {"id": exact, "text": exact, "near": 1}, [*signed, *clusters]

    def index(self, embedded: Embedded, key: IndexKey, mean_words: float | None) -> tuple[ShardEntry, ...]:
        """Encode the shards with the trained index, and for BM25 if `mean_words` is given."""
        layout, shards = self.job.layout, embedded.shards
        codes = self.job.perform(EncodeStage(layout, key, shards, self.config.device))
        lexical: Sequence[Marker | None] = [None] * len(shards)
        if mean_words is not None:
            lexical = self.job.perform(LexicalStage(layout, shards, mean_words))
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

    def mean_words(self, shards: tuple[NumberedShard, ...]) -> float:
        """The mean length of the shards' passages, as BM25 counts words."""
        lengths = self.job.perform(LengthStage(self.job.layout, shards))
        return max(1.0, sum(m.counts["words"] for m in lengths) / sum(shard.rows for shard in shards))


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


def require_passages(embedded: Embedded, where: Path) -> None:
    """Raise RalmError for a corpus that gives none."""
    counts = embedded.counts
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


def _files(markers: Sequence[Marker], folder: str) -> tuple[FileEntry, ...]:
    return tuple(FileEntry.of(f) for m in markers for f in m.files if f.path.startswith(folder))


def add_counts(markers: Sequence[Marker]) -> dict[str, int]:
    """Sum the counts of stages; `kept` is between stages and left out."""
    names = ["records", "blank", "unreadable", "documents", "indexed", "passages", "tokens", "truncated"]
    found = dict.fromkeys(names, 0)
    for marker in markers:
        for name, count in marker.counts.items():
            found[name] = found.get(name, 0) + count
    found.pop("kept", None)
    return dict(sorted(found.items()))


def named(counts: dict[str, int], prefix: str) -> dict[str, int]:
    """The counts whose name begins with a prefix, by the rest of their name."""
    return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}


def unnamed(counts: dict[str, int]) -> dict[str, int]:
    """The counts that are of documents, not of domains or metadata columns."""
    return {n: c for n, c in counts.items() if not n.startswith(("domain.", "column."))}
