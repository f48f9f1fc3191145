"""One shard's files, memory-mapped: passages, vectors, which rows are taken down. Knows no other shard.

Decisions: docs/decisions/searching.md.
"""

import errno
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from base.errors import RalmError, Unavailable
from datastore.generations.manifest import ShardEntry
from datastore.integrity import MEND
from datastore.objects.origin import fetch
from datastore.schema import Scalar, load_metadata


@dataclass(frozen=True)
class Shard:
    """One shard's open files."""

    passages: pa.RecordBatch
    vectors: NDArray[np.float16]
    deleted: NDArray[np.uint8] | None

    @cached_property
    def alive(self) -> NDArray[np.bool_] | None:
        """Which rows are not taken down: bool [rows]; None if all of them."""
        if self.deleted is None:
            return None
        alive: NDArray[np.bool_] = (
            np.unpackbits(self.deleted, count=len(self.vectors), bitorder="little") == 0
        )
        return alive

    @cached_property
    def items(self) -> NDArray[np.void]:
        """The vectors as single items [rows]: numpy copies those four times as fast as rows of float16."""
        width = self.vectors.shape[1] * self.vectors.itemsize
        found: NDArray[np.void] = self.vectors.view(np.dtype((np.void, width)))[:, 0]
        return found


def shard_keys(passages: pa.RecordBatch) -> NDArray[np.uint64]:
    """The passage keys of a shard, without a copy: uint64 [rows]."""
    keys: NDArray[np.uint64] = passages.column("key").to_numpy(zero_copy_only=True)
    return keys


class ShardColumns:
    """Some rows of one shard, or all of them, as a View looks at them."""

    def __init__(self, passages: pa.RecordBatch, rows: NDArray[np.int64] | None = None) -> None:
        """`rows` count from the shard's first: [n]; without them it is all."""
        self._passages = passages
        self._rows = rows

    def _column(self, name: str) -> list[str]:
        column = self._passages.column(name)
        found: list[str] = (column if self._rows is None else column.take(pa.array(self._rows))).to_pylist()
        return found

    @property
    def keys(self) -> NDArray[np.uint64]:
        keys = shard_keys(self._passages)
        return keys if self._rows is None else keys[self._rows]

    @property
    def domains(self) -> Sequence[str]:
        return self._column("domain")

    @cached_property
    def _metadata(self) -> list[dict[str, Scalar]]:
        return [load_metadata(text) for text in self._column("metadata")]

    def metadata(self, column: str) -> Sequence[Scalar]:
        return [found.get(column) for found in self._metadata]


def open_passages(path: Path) -> pa.RecordBatch:
    """Memory-map a passage file. Raises RalmError if it is not one."""
    with _mended(path):
        return pa.ipc.open_file(_mapped(path)).get_batch(0)


def open_array(path: Path) -> NDArray[Any]:
    """Memory-map an array file, such as vectors or codes. Raises RalmError if it is not one."""
    with _mended(path):
        buffer = _mapped(path)
        stream = pa.BufferReader(buffer)
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("it is no array file of version 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        if fortran or dtype.hasobject:
            raise ValueError("its array is in another order, or of Python's objects")
        found: NDArray[Any] = np.frombuffer(buffer, dtype, prod(shape), stream.tell()).reshape(shape)
        return found


def _mapped(path: Path) -> pa.Buffer:
    """A file's bytes, memory-mapped for as long as somebody has the buffer.

    By pyarrow, which closes the file: Python's own maps, and numpy's, keep a descriptor each, of which a
    process may often have 1,024 only.
    """
    with pa.memory_map(str(path)) as source:
        return source.read_buffer()


@contextmanager
def _mended(path: Path) -> Iterator[None]:
    """Turn what goes wrong as a file is opened into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            raise Unavailable(
                f"{path} cannot be opened ({error}): allow a process more files and maps (`ulimit -n`, "
                "`sysctl vm.max_map_count`), or build with larger shards (`passages_per_shard`)."
            ) from None
        if error.errno == errno.ENOENT:  # Or one machine does not see the folder.
            raise Unavailable(f"{path} is missing: {MEND}") from None
        if error.errno is None:
            raise RalmError(f"{path} is damaged ({error}): {MEND}") from None
        raise Unavailable(f"{path} cannot be read ({error}): mend that and try again.") from None
    except (ValueError, SyntaxError, tokenize.TokenError, pa.ArrowInvalid) as error:
        raise RalmError(f"{path} is damaged ({error}): {MEND}") from None


def open_shard(root: Path, entry: ShardEntry) -> Shard:
    """Memory-map one shard's files. Raises RalmError where they disagree with the manifest."""
    fetch(root, [file for file in (entry.passages, entry.vectors, entry.deleted) if file])
    passages = open_passages(root / entry.passages.path)
    vectors = open_array(root / entry.vectors.path)
    deleted = open_deleted(root, entry)
    for path, found in (
        (entry.passages.path, passages.num_rows),
        (entry.vectors.path, len(vectors)),
    ):
        if found != entry.rows:
            raise RalmError(f"{root / path} has {found} rows where the manifest says {entry.rows}.")
    return Shard(passages, vectors, deleted)


def open_deleted(root: Path, entry: ShardEntry) -> NDArray[np.uint8] | None:
    """Which rows of a shard are taken down, a bit a row; None if none are.

    Raises RalmError if they are not as many as the manifest counts: one that is missing would be shown.
    """
    found = None if entry.deleted is None else open_array(root / entry.deleted.path)
    hidden = 0 if found is None else int(np.bitwise_count(found).sum())
    if hidden != entry.taken_down:
        path = root / (entry.deleted or entry.passages).path
        raise RalmError(f"{path}: other rows are deleted than the manifest counts: {MEND}")
    return found
