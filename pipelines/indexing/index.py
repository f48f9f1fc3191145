"""Vectors to an index: the quantizer is trained once on a hash sample, then encodes shard by shard.

Decisions: docs/decisions/index-and-codes.md, laws-and-bytes.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from base.amounts import parse_bytes
from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, checksum, save_array
from datastore.generations.manifest import Device
from datastore.integrity import compare
from datastore.shard import open_array, open_passages, shard_keys
from datastore.view import mix
from pipelines.corpus.ingestion import Ingestion, IngestStage
from pipelines.execution.markers import left_by
from pipelines.passages.shards import NumberedShard, ShardStage, numbered
from retriever.index.sizing import IndexKey, choose_key

if TYPE_CHECKING:
    from retriever.index.codec import TorchCodec


@lru_cache(maxsize=1)
def _load_trained(path: Path, checksum: str) -> Any:
    """The trained index, loaded once in each process; the checksum tells one path's files apart."""
    from retriever.index.faiss_index import read_trained

    return read_trained(path)


@lru_cache(maxsize=1)
def _load_codec(path: Path, checksum: str, device: Device) -> "TorchCodec":
    """The trained index on a GPU, loaded once in each process."""
    from retriever.index.codec import TorchCodec

    return TorchCodec(_load_trained(path, checksum), device)


def _open_vectors(layout: Layout, task: int, shard: int) -> NDArray[np.float16]:
    """The vectors of a shard, which a task of embedding has left."""
    return open_array(left_by(layout, task, layout.vectors(shard), "embed"))


def index_key(ingestion: Ingestion) -> IndexKey:
    """The index that is made, all being embedded: the store's, the one asked for, or one that fits."""
    config, shards = ingestion.config, numbered(ingestion)
    key = ingestion.held.index_key or config.index_key
    if key != "auto":
        return IndexKey.parse(key)
    rows, memory = sum(shard.rows for shard in shards), parse_bytes(config.index_memory)
    return choose_key(rows, dimension_of(ingestion.layout), memory, config.index_recall)


def dimension_of(layout: Layout) -> int:
    """How many components the vectors of a build have, once there are some."""
    dimension: int = open_array(layout.vectors(0)).shape[1]
    return dimension


@dataclass(frozen=True)
class TrainStage(IngestStage):
    """Trains the quantizer: one task, on passages chosen by a hash of their keys."""

    name: ClassVar[str] = "train"
    unit: ClassVar[str] = "passages"
    layout: Layout
    key: IndexKey
    seed: int
    rows: tuple[int, ...]
    device: Device = "cpu"
    # What cutting wrote, to compare with; nothing is compared without.
    passages: tuple[FileInfo, ...] = ()

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return not ingestion.adds

    @classmethod
    def of(cls, ingestion: Ingestion) -> "TrainStage":
        config, shards = ingestion.config, numbered(ingestion)
        rows, passages = tuple(s.rows for s in shards), tuple(s.passages for s in shards)
        return cls(ingestion.layout, index_key(ingestion), config.seed, rows, config.device, passages)

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        return 1

    def sizes(self) -> Sequence[int]:
        # Flat has nothing to learn, a graph takes every vector in.
        total = sum(self.rows)
        return [total if self.key.is_graph else min(total, self.key.training_rows)]

    def run(self, number: int) -> Marker:
        from retriever.index.faiss_index import has_codec, to_bytes, training_sample
        from retriever.index.threads import one_thread

        wanted = self.key.training_rows or 1
        sample = training_sample(self._shards(), wanted, sum(self.rows))
        # As in embedding: a matrix product split over threads may differ in its last bits.
        with one_thread():
            index = self._trained(sample)
            if not has_codec(index):
                # A graph is one file: links lead from every shard to every other.
                for _, vectors in self._shards():
                    index.add(vectors.astype(np.float32))
            data = to_bytes(index)
        path = self.layout.trained(self.key.text)
        info = self.layout.write(path, lambda handle: handle.write(data))
        return Marker({"sample": len(sample)}, (info,))

    @property
    def _on_gpu(self) -> bool:
        # An exact index learns nothing, wherever it is.
        return self.device == "cuda" and not self.key.exact

    def _trained(self, sample: NDArray[np.float32]) -> Any:
        if self._on_gpu:
            return self._train_on_gpu(sample)
        try:
            return self._train_on_cpu(sample)
        except RalmError as error:
            raise RalmError(
                f"{error} What is embedded stays: give another --index-key and run the same command again."
            ) from None

    def _train_on_cpu(self, sample: NDArray[np.float32]) -> Any:
        from retriever.index.faiss_index import train
        from retriever.index.probation import train_apart

        # What FAISS cannot do with an index of its own it may say by a crash.
        return train_apart(self.key, sample) if self.key.foreign else train(self.key, sample)

    def _train_on_gpu(self, sample: NDArray[np.float32]) -> Any:
        from retriever.index import codec

        return codec.train(self.key, sample, self.device, self.seed)

    def _shards(self) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float16]]]:
        for file in self.passages:
            compare(self.layout.root / file.path, file)
        for shard in range(len(self.rows)):
            keys = shard_keys(open_passages(self.layout.passages(shard)))
            yield mix(keys, self.seed), _open_vectors(self.layout, shard, shard)


@dataclass(frozen=True)
class EncodeStage(ShardStage):
    """Encodes one shard with the trained quantizer."""

    name: ClassVar[str] = "index"
    unit: ClassVar[str] = "passages"
    layout: Layout
    key: IndexKey
    shards: tuple[NumberedShard, ...]
    device: Device = "cpu"

    @classmethod
    def of(cls, ingestion: Ingestion) -> "EncodeStage":
        shards = numbered(ingestion)
        return cls(ingestion.layout, index_key(ingestion), shards, ingestion.config.device)

    def run(self, number: int) -> Marker:
        shard = self.shards[number]
        if self.key.exact:
            # Flat: the stored float16 vectors are its codes already.
            return Marker({"rows": shard.rows})
        from retriever.index.faiss_index import encode, has_codec
        from retriever.index.threads import one_thread

        path = left_by(self.layout, 0, self.layout.trained(self.key.text), TrainStage.name)
        trained = _load_trained(path, checksum(path))
        if not has_codec(trained):
            return Marker({"rows": shard.rows})
        vectors = _open_vectors(self.layout, number, shard.number)
        if self.device == "cuda":
            codes = _load_codec(path, checksum(path), self.device).encode(vectors)
        else:
            with one_thread():
                codes = encode(trained, vectors)
        path = self.layout.codes(self.key.text, shard.number)
        info = self.layout.write(path, lambda handle: save_array(handle, codes))
        return Marker({"rows": len(codes)}, (info,))
