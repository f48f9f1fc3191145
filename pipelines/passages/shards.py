"""Numbering: which split and part became which shard, and its first row.

The second of the build's three barriers: prefix sums over what chunking counted.

Decisions: docs/decisions/passages.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, move
from pipelines.corpus.ingestion import Ingestion, IngestStage
from pipelines.passages.chunk import ChunkStage
from pipelines.passages.parts import part_path
from pipelines.passages.thin import ThinStage


@dataclass(frozen=True, slots=True)
class NumberedShard:
    """A shard with its place in the store, and where chunking wrote it."""

    number: int
    first_row: int
    rows: int
    split: int
    part: int
    passages: FileInfo


def rows_of_shards(ingestion: Ingestion) -> list[int]:
    """The rows of each shard that an ingestion makes. Raises Undecided if not all splits are cut."""
    per_shard, counts = ingestion.config.passages_per_shard, [m.counts["passages"] for m in _cut(ingestion)]
    return [min(per_shard, count - at) for count in counts for at in range(0, count, per_shard)]


class ShardStage(IngestStage):
    """A stage with a task for each shard that an ingestion makes."""

    shards: tuple[NumberedShard, ...]

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        return len(rows_of_shards(ingestion))

    def sizes(self) -> Sequence[int]:
        return [shard.rows for shard in self.shards]


def _cut(ingestion: Ingestion) -> Sequence[Marker]:
    """What the stage has left that wrote the passages as they are."""
    return ingestion.markers(ThinStage if ThinStage.asked(ingestion) else ChunkStage)


def numbered(ingestion: Ingestion) -> tuple[NumberedShard, ...]:
    """The shards that an ingestion makes. Raises Undecided if not all splits are cut."""
    held, per_shard = ingestion.held, ingestion.config.passages_per_shard
    return tuple(
        number_shards(ingestion.layout, _cut(ingestion), per_shard, held.first_shard, held.first_row)
    )


def number_shards(
    layout: Layout, markers: Sequence[Marker], per_shard: int, first_shard: int = 0, first_row: int = 0
) -> list[NumberedShard]:
    """Number the shards of all splits in split order, by what chunking counted.

    A split fills its shards one after another, so all but its last hold `per_shard` passages.
    """
    shards: list[NumberedShard] = []
    for split, marker in enumerate(markers):
        left = marker.counts["passages"]
        infos = {info.path: info for info in marker.files}
        part = 0
        while left > 0:
            rows, number = min(left, per_shard), first_shard + len(shards)
            source, target = part_path(layout, split, part), layout.passages(number)
            found = infos[str(source.relative_to(layout.root))]
            info = FileInfo(str(target.relative_to(layout.root)), found.bytes, found.xxh3)
            shards.append(NumberedShard(number, first_row, rows, split, part, info))
            left, first_row, part = left - rows, first_row + rows, part + 1
    return shards


def take_places(layout: Layout, shards: Sequence[NumberedShard]) -> None:
    """Move the passages of numbered shards to where a store keeps them."""
    for shard in shards:
        move(part_path(layout, shard.split, shard.part), layout.passages(shard.number))
