"""Shards to vectors: one float16 matrix for each, row i = passage i.

Decisions: docs/decisions/embedding.md, encoders.md, laws-and-bytes.md.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, save_array
from datastore.generations.manifest import Device, Dtype, FileEntry
from datastore.shard import open_array
from pipelines.corpus.ingestion import Ingestion, IngestStage
from pipelines.execution.markers import left_by
from pipelines.execution.metering.peaks import name_of
from pipelines.execution.reports import Report
from pipelines.passages.parts import load_tokens
from pipelines.passages.shards import NumberedShard, numbered, rows_of_shards
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.usage import AS_STATED, Usage

if TYPE_CHECKING:
    from retriever.encoding.encoder import Encoder

# Always one thread a worker: how a matrix product is split over threads shows in its last bits,
# and the same corpus must give the same bytes on any number of workers.
THREADS = 1
# Rows of a shard that a CPU embeds together, whatever the task: which rows share a batch follows from it, and
# so do the last bits of vectors. A small encoder takes some seconds for them: a kill costs no more.
BLOCK_ROWS = 128
# Tasks into which embedding is cut, about: markers are files. A larger corpus has several blocks in each.
_TASKS = 4096
# The version of work (`execution/job.py`) as of which shards are embedded in parts.
IN_PARTS = 4


@lru_cache(maxsize=1)
def load_encoder(name: str, dtype: Dtype, device: Device = "cpu", usage: Usage = AS_STATED) -> "Encoder":
    """The encoder, loaded once in each process. Imported here: `ralm status` and a driver need no PyTorch."""
    from retriever.encoding.encoder import Encoder

    return Encoder(Checkpoint.find(name, usage), dtype, device)


def embeds_early(ingestion: Ingestion) -> bool:
    """Whether splits are embedded as they are cut (`embed_early.py`): in some early builds a GPU waited."""
    return ingestion.config.embeds_early and ingestion.layout.done(EmbedStage.name, 0) is None


class ShardPart(NamedTuple):
    """Rows [first, end) of a shard, which is counted among those that are embedded."""

    shard: int
    first: int
    end: int


def parts_of(rows: Sequence[int], device: Device = "cpu") -> list[ShardPart]:
    """The parts, one for each task, of shards with so many rows: blocks, or several of one shard.

    A corpus of a few megabytes gives work to many cores, one of terabytes no more tasks than it has shards. A
    GPU embeds whole shards: its batches are larger than a block.
    """
    blocks = sum(-(-count // BLOCK_ROWS) for count in rows)
    step = BLOCK_ROWS * -(-blocks // _TASKS) if device == "cpu" else max(rows, default=1)
    return [
        ShardPart(shard, first, min(first + step, count))
        for shard, count in enumerate(rows)
        for first in range(0, count, step)
    ]


@dataclass(frozen=True)
class EmbedStage(IngestStage):
    """Embeds passages of one shard, all or a part, from the token ids that chunking made."""

    name: ClassVar[str] = "embed"
    unit: ClassVar[str] = "passages"
    # Its tasks leave word of how far they are.
    reports: ClassVar[bool] = True
    layout: Layout
    encoder: str
    dtype: Dtype
    shards: tuple[NumberedShard, ...]
    device: Device = "cpu"
    usage: Usage = AS_STATED

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return not embeds_early(ingestion)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "EmbedStage":
        config = ingestion.config
        return cls(
            ingestion.layout,
            config.encoder,
            ingestion.dtype,
            numbered(ingestion),
            config.device,
            ingestion.usage,
        )

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        rows = rows_of_shards(ingestion)
        return len(rows if ingestion.work < IN_PARTS else parts_of(rows, ingestion.config.device))

    def sizes(self) -> Sequence[int]:
        return [part.end - part.first for part in self.parts]

    @property
    def parts(self) -> list[ShardPart]:
        """What each task embeds."""
        return parts_of([shard.rows for shard in self.shards], self.device)

    def run(self, number: int) -> Marker:
        part = self.parts[number]
        shard = self.shards[part.shard]
        ids = load_tokens(self.layout, shard.split, shard.part)[part.first : part.end]
        encoder = load_encoder(self.encoder, self.dtype, self.device, self.usage)
        vectors = embed(encoder, ids, Report(self.layout, self.name, number).add)
        whole = len(ids) == shard.rows
        path = self.layout.vectors(shard.number) if whole else _part_path(self.layout, shard, part)
        info = write_vectors(self.layout, path, vectors)
        aside = work_of(encoder, ids)
        return Marker({"rows": len(ids), "tokens": aside["tokens"]}, (info,), aside)


@dataclass(frozen=True)
class JoinStage(IngestStage):
    """Joins the vectors of one shard that was embedded in parts."""

    name: ClassVar[str] = "join"
    # Not passages: shards embedded in one part are not joined, so fewer would be counted than were embedded.
    unit: ClassVar[str] = "parts"
    layout: Layout
    shards: tuple[NumberedShard, ...]
    device: Device = "cpu"

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return EmbedStage.asked(ingestion) and ingestion.work >= IN_PARTS

    @classmethod
    def of(cls, ingestion: Ingestion) -> "JoinStage":
        return cls(ingestion.layout, numbered(ingestion), ingestion.config.device)

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        parts = Counter(part.shard for part in parts_of(rows_of_shards(ingestion), ingestion.config.device))
        return sum(count > 1 for count in parts.values())

    def sizes(self) -> Sequence[int]:
        return [len(parts) for parts in self.joined]

    @property
    def joined(self) -> list[list[tuple[int, ShardPart]]]:
        """The parts of each shard that has several, with the numbers of the tasks that embedded them."""
        every = enumerate(parts_of([shard.rows for shard in self.shards], self.device))
        shards = [list(parts) for _, parts in groupby(every, lambda numbered: numbered[1].shard)]
        return [parts for parts in shards if len(parts) > 1]

    def run(self, number: int) -> Marker:
        parts = self.joined[number]
        shard = self.shards[parts[0][1].shard]
        paths = [
            left_by(self.layout, task, _part_path(self.layout, shard, part), EmbedStage.name)
            for task, part in parts
        ]
        vectors = np.concatenate([open_array(path) for path in paths])
        info = write_vectors(self.layout, self.layout.vectors(shard.number), vectors)
        return Marker({"rows": shard.rows}, (info,))


def _part_path(layout: Layout, shard: NumberedShard, part: ShardPart) -> Path:
    """Where a part's vectors lie until they are joined."""
    return layout.work / "vectors" / f"{shard.number:05d}-{part.first:07d}.npy"


def vectors_of(
    layout: Layout, shards: Sequence[NumberedShard], markers: Iterable[Marker]
) -> tuple[FileEntry, ...]:
    """The vectors of each shard, of what embedding and joining wrote; parts are cleared away."""
    files = {info.path: info for marker in markers for info in marker.files}
    shutil.rmtree(layout.work / "vectors", ignore_errors=True)
    paths = [str(layout.vectors(shard.number).relative_to(layout.root)) for shard in shards]
    return tuple(FileEntry.of(files[path]) for path in paths)


def embed(
    encoder: "Encoder", ids: Sequence[NDArray[np.int32]], told: Callable[[int], None] | None = None
) -> NDArray[np.float16]:
    """Vectors of a shard's passages, or of some of its blocks, by token ids: float16 [passages, dimension].

    `told` hears of each batch how many passages it held.
    """
    from retriever.encoding.threads import torch_threads

    step = BLOCK_ROWS if encoder.device == "cpu" else len(ids)
    with torch_threads(THREADS):
        blocks = [encoder.encode_passages(ids[at : at + step], told) for at in range(0, len(ids), step)]
    return np.concatenate(blocks)


def write_vectors(layout: Layout, path: Path, vectors: NDArray[np.float16]) -> FileInfo:
    """Write a shard's vectors."""
    return layout.write(path, lambda handle: save_array(handle, vectors))


def work_of(encoder: "Encoder", ids: Sequence[NDArray[np.int32]]) -> dict[str, Any]:
    """What embedding passages took: tokens, operations, and on which device. No business of the bytes."""
    lengths = np.array([len(one) for one in ids], np.int64)
    return {
        "tokens": int(lengths.sum()),
        "flops": encoder.flops(lengths),
        "device": name_of(encoder.device),
        "dtype": encoder.dtype,
    }
