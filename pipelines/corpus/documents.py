"""The documents of a split between reading and chunking: a file in `work/`, their hashes beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.schema import DOCUMENT_SCHEMA, Document, batch_to_documents, documents_to_batch
from datastore.shard import open_array
from pipelines.execution.markers import left_by

# The stage that writes them (`read.py`).
_WRITTEN_BY = "read"
_BATCH_DOCUMENTS = 1024
_BATCH_CHARACTERS = 4 << 20


def documents_path(layout: Layout, split: int) -> Path:
    """Where a split's kept documents lie between reading and chunking."""
    return layout.work / "documents" / f"{split:05d}.arrow"


def hashes_path(layout: Layout, split: int) -> Path:
    """Where a split's document hashes lie: uint64 [documents, 4], identity and text, high and low."""
    return layout.work / "hashes" / f"{split:05d}.npy"


def write_documents(handle: object, documents: Iterator[Document]) -> None:
    """Write them to an open file."""
    with pa.ipc.new_file(handle, DOCUMENT_SCHEMA) as writer:
        for batch in batches(documents):
            writer.write_batch(documents_to_batch(batch))


def batches(
    documents: Iterator[Document], most: int = _BATCH_DOCUMENTS, characters: int = _BATCH_CHARACTERS
) -> Iterator[list[Document]]:
    """Batches bounded in documents and, roughly, in characters: one novel is as long as 1,000 notes."""
    held: list[Document] = []
    size = 0
    for document in documents:
        held.append(document)
        size += len(document.text) + sum(len(v) for v in document.metadata.values() if isinstance(v, str))
        if len(held) >= most or size >= characters:
            yield held
            held, size = [], 0
    if held:
        yield held


def load_hashes(layout: Layout, split: int) -> NDArray[np.uint64]:
    """A split's hashes, memory-mapped: uint64 [documents, 4]."""
    return open_array(left_by(layout, split, hashes_path(layout, split), _WRITTEN_BY))


def documents_in(layout: Layout, split: int) -> Path:
    """Where a split's documents lie. Raises RalmError if they are not what was written."""
    return left_by(layout, split, documents_path(layout, split), _WRITTEN_BY)


def read_documents(layout: Layout, split: int) -> Iterator[Document]:
    """The documents of a split, a batch in memory at a time."""
    path = documents_in(layout, split)
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            yield from batch_to_documents(file.get_batch(number))


@dataclass(frozen=True)
class Texts:
    """The texts of a split by row, memory-mapped."""

    batches: tuple[pa.RecordBatch, ...]
    starts: NDArray[np.int64]

    @classmethod
    def open(cls, path: Path) -> "Texts":
        """The texts of one file of documents."""
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            batches = tuple(file.get_batch(number) for number in range(file.num_record_batches))
        return cls(batches, np.cumsum([0, *(batch.num_rows for batch in batches)]))

    def __getitem__(self, row: int) -> str:
        at = int(np.searchsorted(self.starts, row, side="right")) - 1
        text: str = self.batches[at].column("text")[row - int(self.starts[at])].as_py()
        return text


def identity_at(path: Path, row: int) -> tuple[str, str]:
    """Domain and id of one document of a split, reading no other's."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            if row < batch.num_rows:
                return batch.column("domain")[row].as_py(), batch.column("doc_id")[row].as_py()
            row -= batch.num_rows
    raise IndexError(f"{path} has {row} documents too few")
