"""The shards of a split before they are numbered: a file of passages and one of their token ids for each.

Decisions: docs/decisions/passages.md.
"""

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.writing import FileInfo
from datastore.schema import Passage, passages_to_batch
from pipelines.execution.markers import left_by

# The folder of shards as they are numbered, and of those that lose repeated passages before.
WHOLE = "chunks"
CUT = "cut"
_TOKENS_SCHEMA = pa.schema([("ids", pa.large_list(pa.int32()))])


def part_path(layout: Layout, split: int, part: int, folder: str = WHOLE) -> Path:
    """Where a shard's passages lie until shards are numbered."""
    return layout.work / folder / f"{split:05d}-{part:05d}.arrow"


def tokens_path(layout: Layout, split: int, part: int, folder: str = WHOLE) -> Path:
    """Where a shard's token ids lie until they are embedded."""
    return layout.work / folder / f"{split:05d}-{part:05d}.tokens.arrow"


class ShardWriter:
    """Fills the shards of one split with its passages and their token ids, one shard after another."""

    def __init__(self, layout: Layout, split: int, per_shard: int, folder: str = WHOLE) -> None:
        self._layout, self._split, self._per_shard, self._folder = layout, split, per_shard, folder
        self._passages: list[Passage] = []
        self._ids: list[NDArray[np.int32]] = []
        self._parts = 0
        self._files: list[FileInfo] = []

    def add(self, passage: Passage, ids: NDArray[np.int32]) -> None:
        """Put a passage into the shard, which is written when it is full."""
        self._passages.append(passage)
        self._ids.append(ids)
        if len(self._ids) == self._per_shard:
            self._write()

    def finish(self) -> list[FileInfo]:
        """Write the last shard; the files of all."""
        if self._ids:
            self._write()
        return self._files

    def _write(self) -> None:
        passages = passages_to_batch(self._passages)
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in self._ids])])
        values = pa.array(np.concatenate(self._ids))
        tokens = pa.record_batch([pa.LargeListArray.from_arrays(offsets, values)], schema=_TOKENS_SCHEMA)
        for path, batch in (
            (part_path(self._layout, self._split, self._parts, self._folder), passages),
            (tokens_path(self._layout, self._split, self._parts, self._folder), tokens),
        ):
            self._files.append(self._layout.write(path, partial(write_batch, batch=batch)))
        self._passages, self._ids, self._parts = [], [], self._parts + 1


def write_batch(handle: object, batch: pa.RecordBatch) -> None:
    """Write one record batch as an Arrow IPC file."""
    with pa.ipc.new_file(handle, batch.schema) as writer:
        writer.write_batch(batch)


def load_tokens(layout: Layout, split: int, part: int, folder: str = WHOLE) -> list[NDArray[np.int32]]:
    """The token ids of a shard's passages, in row order. Raises RalmError if they have been changed since."""
    path = left_by(layout, split, tokens_path(layout, split, part, folder), "thin", "chunk")
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        ids = file.get_batch(0).column("ids")
    offsets, values = ids.offsets.to_numpy(), ids.values.to_numpy()
    return [values[a:b] for a, b in pairwise(offsets)]
