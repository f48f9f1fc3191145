"""Splits to vectors while others are still being cut: by a GPU, which would wait for the cores otherwise.

Decisions: docs/decisions/embedding.md.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, move
from datastore.generations.manifest import Device, Dtype, FileEntry
from pipelines.corpus.ingestion import Ingestion, SplitStage
from pipelines.corpus.read import documents_kept
from pipelines.indexing.embed import (
    EmbedStage,
    JoinStage,
    embed,
    embeds_early,
    load_encoder,
    vectors_of,
    work_of,
    write_vectors,
)
from pipelines.passages.chunk import ChunkStage
from pipelines.passages.parts import load_tokens
from pipelines.passages.shards import NumberedShard, numbered
from retriever.encoding.usage import AS_STATED, Usage


def vectors_path(layout: Layout, split: int, part: int) -> Path:
    """Where a shard's vectors lie until shards are numbered."""
    return layout.work / "chunks" / f"{split:05d}-{part:05d}.npy"


@dataclass(frozen=True)
class EarlyEmbedStage(SplitStage):
    """Embeds all passages of one split, before shards have numbers: while others are still being cut."""

    name: ClassVar[str] = "embed-early"
    unit: ClassVar[str] = "documents"
    # Cores cut while a GPU embeds what is cut: neither waits for the other.
    beside: ClassVar[str] = ChunkStage.name
    layout: Layout
    encoder: str
    dtype: Dtype
    documents: tuple[int, ...]
    per_shard: int
    device: Device = "cuda"
    usage: Usage = AS_STATED

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return embeds_early(ingestion)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "EarlyEmbedStage":
        config = ingestion.config
        return cls(
            ingestion.layout,
            config.encoder,
            ingestion.dtype,
            documents_kept(ingestion),
            config.passages_per_shard,
            config.device,
            ingestion.usage,
        )

    def sizes(self) -> Sequence[int]:
        return self.documents

    def run(self, number: int) -> Marker:
        cut = self.layout.done(ChunkStage.name, number)
        if cut is None:
            raise RalmError(
                f"Task {number} of {ChunkStage.name} left no marker in {self.layout.root}: does every node "
                "of the cluster see that folder?"
            )
        encoder = load_encoder(self.encoder, self.dtype, self.device, self.usage)
        every: list[NDArray[np.int32]] = []
        files: list[Future[FileInfo]] = []
        # A shard is written while the next one is embedded.
        with ThreadPoolExecutor(1) as writer:
            for part in range(-(-cut.counts["passages"] // self.per_shard)):
                ids = load_tokens(self.layout, number, part)
                path = vectors_path(self.layout, number, part)
                files.append(writer.submit(write_vectors, self.layout, path, embed(encoder, ids)))
                every += ids
        counts = {name: cut.counts[name] for name in ("passages", "tokens")}
        return Marker(counts, tuple(file.result() for file in files), work_of(encoder, every))


def place_vectors(ingestion: Ingestion) -> tuple[FileEntry, ...]:
    """The vectors of each shard, all embedded, where a store keeps them."""
    layout, shards = ingestion.layout, numbered(ingestion)
    if embeds_early(ingestion):
        return take_vectors(layout, shards, ingestion.markers(EarlyEmbedStage))
    done = [*ingestion.markers(EmbedStage), *ingestion.markers(JoinStage)]
    return vectors_of(layout, shards, done)


def take_vectors(
    layout: Layout, shards: Sequence[NumberedShard], markers: Sequence[Marker]
) -> tuple[FileEntry, ...]:
    """Move what was embedded split by split to where a store keeps the vectors of its shards."""
    entries = []
    for shard in shards:
        found, target = markers[shard.split].files[shard.part], layout.vectors(shard.number)
        move(vectors_path(layout, shard.split, shard.part), target)
        entries.append(
            FileEntry(path=str(target.relative_to(layout.root)), bytes=found.bytes, xxh3=found.xxh3)
        )
    return tuple(entries)
