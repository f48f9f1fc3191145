"""Passages to a BM25 index: first their lengths, whose mean enters every weight, then shard by shard."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from datastore.layout import FileInfo, Layout, Marker, save_array
from datastore.shard import open_passages
from pipelines.build.shards import NumberedShard


def _texts(layout: Layout, shard: int) -> list[str]:
    texts: list[str] = open_passages(layout.passages(shard)).column("text").to_pylist()
    return texts


@dataclass(frozen=True)
class LengthStage:
    """Counts the words of each shard as BM25 counts them."""

    name: ClassVar[str] = "words"
    unit: ClassVar[str] = "passages"
    layout: Layout
    shards: tuple[NumberedShard, ...]

    def sizes(self) -> Sequence[int]:
        return [shard.rows for shard in self.shards]

    def run(self, number: int) -> Marker:
        from retriever.lexical import total_length

        return Marker({"words": total_length(_texts(self.layout, self.shards[number].number))})


@dataclass(frozen=True)
class LexicalStage:
    """Indexes one shard; `mean_length` is the store's, in words."""

    name: ClassVar[str] = "lexical"
    unit: ClassVar[str] = "passages"
    layout: Layout
    shards: tuple[NumberedShard, ...]
    mean_length: float

    def sizes(self) -> Sequence[int]:
        return [shard.rows for shard in self.shards]

    def run(self, number: int) -> Marker:
        shard = self.shards[number]
        infos = write_lexical(self.layout, shard.number, _texts(self.layout, shard.number), self.mean_length)
        return Marker({"rows": shard.rows}, infos)


def write_lexical(
    layout: Layout, shard: int, texts: Sequence[str], mean_length: float
) -> tuple[FileInfo, ...]:
    """Index the texts of one shard for BM25."""
    from retriever.lexical import PARTS, index_shard

    arrays = index_shard(texts, mean_length)
    return tuple(
        layout.write(layout.lexical(shard, part), partial(save_array, array=arrays[part])) for part in PARTS
    )
