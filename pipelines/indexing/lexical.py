"""Passages to a BM25 index: first their lengths, whose mean enters every weight, then shard by shard.

Decisions: docs/decisions/words-and-fusion.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, save_array
from datastore.generations.manifest import ShardEntry
from datastore.integrity import compare
from datastore.shard import open_array, open_passages
from pipelines.corpus.ingestion import Ingestion
from pipelines.passages.shards import NumberedShard, ShardStage, numbered


def _texts(layout: Layout, shard: NumberedShard) -> list[str]:
    path = layout.passages(shard.number)
    compare(path, shard.passages)
    texts: list[str] = open_passages(path).column("text").to_pylist()
    return texts


@dataclass(frozen=True)
class LengthStage(ShardStage):
    """Counts the words of each shard as BM25 counts them."""

    name: ClassVar[str] = "words"
    unit: ClassVar[str] = "passages"
    layout: Layout
    shards: tuple[NumberedShard, ...]

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return ingestion.config.lexical and not ingestion.adds

    @classmethod
    def of(cls, ingestion: Ingestion) -> "LengthStage":
        return cls(ingestion.layout, numbered(ingestion))

    def run(self, number: int) -> Marker:
        from retriever.ranking.lexical import total_length

        return Marker({"words": total_length(_texts(self.layout, self.shards[number]))})


def mean_words(ingestion: Ingestion) -> float | None:
    """The mean length in words that the passages are indexed by: the store's, else their own.

    None where there is no BM25.
    """
    if not LengthStage.asked(ingestion):
        return ingestion.held.mean_words
    words = sum(marker.counts["words"] for marker in ingestion.markers(LengthStage))
    return max(1.0, words / sum(shard.rows for shard in numbered(ingestion)))


@dataclass(frozen=True)
class LexicalStage(ShardStage):
    """Indexes one shard; `mean_length` is the store's, in words."""

    name: ClassVar[str] = "lexical"
    unit: ClassVar[str] = "passages"
    layout: Layout
    shards: tuple[NumberedShard, ...]
    mean_length: float

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        # Early stores have none.
        has = ingestion.held.index_key is None or ingestion.held.mean_words is not None
        return ingestion.config.lexical and has

    @classmethod
    def of(cls, ingestion: Ingestion) -> "LexicalStage":
        mean = mean_words(ingestion)
        assert mean is not None  # Else the job has no such stage.
        return cls(ingestion.layout, numbered(ingestion), mean)

    def run(self, number: int) -> Marker:
        shard = self.shards[number]
        infos = write_lexical(self.layout, shard.number, _texts(self.layout, shard), self.mean_length)
        return Marker({"rows": shard.rows}, infos)


def write_lexical(
    layout: Layout, shard: int, texts: Sequence[str], mean_length: float
) -> tuple[FileInfo, ...]:
    """Index the texts of one shard for BM25."""
    from retriever.ranking.lexical import index_shard

    return _written(layout, shard, index_shard(texts, mean_length))


def copy_lexical(
    layout: Layout, shard: int, entries: Sequence[ShardEntry], alive: Sequence[NDArray[np.bool_]]
) -> tuple[FileInfo, ...]:
    """Write one shard's BM25 index out of those of several: of the rows of each that stay, bool [rows]."""
    from retriever.ranking.lexical import PARTS, join_shards

    opened = [[open_array(layout.root / file.path) for file in entry.lexical or ()] for entry in entries]
    parts = [dict(zip(PARTS, arrays, strict=True)) for arrays in opened]
    return _written(layout, shard, join_shards(list(zip(parts, alive, strict=True))))


def _written(layout: Layout, shard: int, arrays: dict[str, NDArray[Any]]) -> tuple[FileInfo, ...]:
    from retriever.ranking.lexical import PARTS

    return tuple(
        layout.write(layout.lexical(shard, part), partial(save_array, array=arrays[part])) for part in PARTS
    )
