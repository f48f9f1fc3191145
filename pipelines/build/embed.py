"""Shards to vectors: one float16 matrix for each, row i = passage i."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.layout import FileInfo, Layout, Marker, move, save_array
from datastore.manifest import Device, Dtype, FileEntry
from pipelines.build.chunk import ChunkStage
from pipelines.build.parts import load_tokens
from pipelines.build.peaks import name_of
from pipelines.build.shards import NumberedShard
from retriever.checkpoint import Checkpoint
from retriever.usage import AS_STATED, Usage

if TYPE_CHECKING:
    from retriever.encoder import Encoder

# Always one thread a worker: how a matrix product is split over threads shows in its last bits,
# and the same corpus must give the same bytes on any number of workers.
THREADS = 1


@lru_cache(maxsize=1)
def load_encoder(name: str, dtype: Dtype, device: Device = "cpu", usage: Usage = AS_STATED) -> "Encoder":
    """The encoder, loaded once in each process. Imported here: `ralm status` and a driver need no PyTorch."""
    from retriever.encoder import Encoder

    return Encoder(Checkpoint.find(name, usage), dtype, device)


def vectors_path(layout: Layout, split: int, part: int) -> Path:
    """Where a shard's vectors lie until shards are numbered."""
    return layout.work / "chunks" / f"{split:05d}-{part:05d}.npy"


@dataclass(frozen=True)
class EmbedStage:
    """Embeds the passages of one shard from the token ids that chunking made."""

    name: ClassVar[str] = "embed"
    unit: ClassVar[str] = "passages"
    layout: Layout
    encoder: str
    dtype: Dtype
    shards: tuple[NumberedShard, ...]
    device: Device = "cpu"
    usage: Usage = AS_STATED

    def sizes(self) -> Sequence[int]:
        return [shard.rows for shard in self.shards]

    def run(self, number: int) -> Marker:
        shard = self.shards[number]
        ids = load_tokens(self.layout, shard.split, shard.part)
        encoder = load_encoder(self.encoder, self.dtype, self.device, self.usage)
        info = write_vectors(self.layout, self.layout.vectors(shard.number), embed(encoder, ids))
        aside = work_of(encoder, ids)
        return Marker({"rows": len(ids), "tokens": aside["tokens"]}, (info,), aside)


@dataclass(frozen=True)
class EarlyEmbedStage:
    """Embeds all passages of one split, before shards have numbers: while others are still being cut."""

    name: ClassVar[str] = "embed-early"
    unit: ClassVar[str] = "documents"
    layout: Layout
    encoder: str
    dtype: Dtype
    documents: tuple[int, ...]
    per_shard: int
    device: Device = "cuda"
    usage: Usage = AS_STATED

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


def embed(encoder: "Encoder", ids: Sequence[NDArray[np.int32]]) -> NDArray[np.float16]:
    """Vectors of passages given by their token ids: float16 [passages, dimension]."""
    from retriever.encoder import torch_threads

    with torch_threads(THREADS):
        return encoder.encode_passages(ids)


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
