"""Passages to a BM25 index: first their lengths, whose mean enters every weight, then shard by shard."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from datastore.layout import Layout, Marker, save_array
from datastore.store import open_passages


def _texts(layout: Layout, shard: int) -> list[str]:
    texts: list[str] = open_passages(layout.passages(shard)).column("text").to_pylist()
    return texts


@dataclass(frozen=True)
class LengthStage:
    """Counts the words of each shard as BM25 counts them."""

    name: ClassVar[str] = "words"
    unit: ClassVar[str] = "passages"
    layout: Layout
    rows: tuple[int, ...]

    def sizes(self) -> Sequence[int]:
        return self.rows

    def run(self, number: int) -> Marker:
        from retriever.lexical import total_length

        return Marker({"words": total_length(_texts(self.layout, number))})


@dataclass(frozen=True)
class LexicalStage:
    """Indexes one shard; `mean_length` is the store's, in words."""

    name: ClassVar[str] = "lexical"
    unit: ClassVar[str] = "passages"
    layout: Layout
    rows: tuple[int, ...]
    mean_length: float

    def sizes(self) -> Sequence[int]:
        return self.rows

    def run(self, number: int) -> Marker:
        from retriever.lexical import PARTS, index_shard

        arrays = index_shard(_texts(self.layout, number), self.mean_length)
        infos = tuple(
            self.layout.write(self.layout.lexical(number, part), partial(save_array, array=arrays[part]))
            for part in PARTS
        )
        return Marker({"rows": self.rows[number]}, infos)
