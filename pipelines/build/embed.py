"""Shards to vectors: one float16 matrix for each, row i = passage i."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from datastore.layout import Layout, Marker, save_array
from datastore.manifest import Device, Dtype
from pipelines.build.parts import read_tokens, tokens_path
from pipelines.build.shards import NumberedShard
from retriever.checkpoint import Checkpoint
from retriever.encoder import Encoder, torch_threads

# Always one thread a worker: how a matrix product is split over threads shows in its last bits,
# and the same corpus must give the same bytes on any number of workers.
THREADS = 1


@lru_cache(maxsize=1)
def load_encoder(name: str, dtype: Dtype, device: Device = "cpu") -> Encoder:
    """The encoder, loaded once in each process."""
    return Encoder(Checkpoint.find(name), dtype, device)


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

    def sizes(self) -> Sequence[int]:
        return [shard.rows for shard in self.shards]

    def run(self, number: int) -> Marker:
        shard = self.shards[number]
        ids = read_tokens(tokens_path(self.layout, shard.split, shard.part))
        with torch_threads(THREADS):
            vectors = load_encoder(self.encoder, self.dtype, self.device).encode_passages(ids)
        path = self.layout.vectors(shard.number)
        info = self.layout.write(path, lambda handle: save_array(handle, vectors))
        return Marker({"rows": len(vectors), "tokens": sum(len(one) for one in ids)}, (info,))
