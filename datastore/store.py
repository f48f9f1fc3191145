"""Datastore: open, verify, row id -> Passage and vector, all memory-mapped.

A row id is the first row of its shard plus the row within it; no other id map exists, so what is
held in memory grows with the number of shards, not of passages.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.layout import Layout, checksum
from datastore.manifest import FileEntry, Manifest, ShardEntry, current
from datastore.schema import Passage, passage_at

# Up to this size a store's checksums are compared when it is opened (about a tenth of a second);
# above it only sizes and headers, and `ralm verify` reads everything.
FULL_CHECK_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard's open files."""

    passages: pa.RecordBatch
    vectors: NDArray[np.float16]


class Datastore:
    """A published datastore, opened read-only. Safe to share between threads."""

    def __init__(self, layout: Layout, manifest: Manifest) -> None:
        self.layout = layout
        self.manifest = manifest
        self._shards: dict[int, Shard] = {}
        self._opening = Lock()

    @classmethod
    def open(cls, path: Path | str) -> "Datastore":
        """Open the current generation. Raises RalmError naming the file that is missing or damaged."""
        layout = Layout(Path(path))
        manifest = current(layout)
        full = sum(f.bytes for f in manifest.files) <= FULL_CHECK_BYTES
        for entry in manifest.files:
            if problem := file_problem(layout, entry, full=full):
                raise RalmError(problem)
        return cls(layout, manifest)

    @property
    def rows(self) -> int:
        """Number of passages."""
        return self.manifest.rows

    @cached_property
    def _first_rows(self) -> list[int]:
        return [shard.first_row for shard in self.manifest.shards]

    def _shard(self, number: int) -> Shard:
        with self._opening:
            if number not in self._shards:
                entry = self.manifest.shards[number]
                self._shards[number] = open_shard(self.layout.root, entry)
            return self._shards[number]

    def _locate(self, row: int) -> tuple[Shard, int]:
        # FAISS says -1 for "nothing found"; Python would read the last row.
        if not 0 <= row < self.rows:
            raise IndexError(f"row {row} is outside 0..{self.rows - 1}")
        number = bisect_right(self._first_rows, row) - 1
        return self._shard(number), row - self._first_rows[number]

    def passage(self, row: int) -> Passage:
        """The passage with this row id. Raises IndexError outside 0..rows-1."""
        shard, local = self._locate(row)
        return passage_at(shard.passages, local)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float16]:
        """The stored vectors of these rows: [len(rows), dimension], float16."""
        out = np.empty((len(rows), self.manifest.encoder.dimension), np.float16)
        for i, row in enumerate(rows):
            shard, local = self._locate(row)
            out[i] = shard.vectors[local]
        return out

    def keys(self, rows: Sequence[int]) -> NDArray[np.uint64]:
        """The passage keys of these rows: uint64 [len(rows)]."""
        wanted = np.asarray(rows, np.int64)
        out = np.empty(len(wanted), np.uint64)
        owners = np.searchsorted(self._first_rows, wanted, side="right") - 1
        for number in np.unique(owners):
            mine = owners == number
            local = wanted[mine] - self._first_rows[number]
            out[mine] = shard_keys(self._shard(int(number)).passages)[local]
        return out

    def shard_keys(self) -> Iterator[NDArray[np.uint64]]:
        """The passage keys of all rows, shard by shard, without a copy."""
        for number in range(len(self.manifest.shards)):
            yield shard_keys(self._shard(number).passages)

    def __iter__(self) -> Iterator[Passage]:
        """Every passage in row order."""
        for number in range(len(self.manifest.shards)):
            batch = self._shard(number).passages
            for row in range(batch.num_rows):
                yield passage_at(batch, row)


def shard_keys(passages: pa.RecordBatch) -> NDArray[np.uint64]:
    """The passage keys of a shard, without a copy: uint64 [rows]."""
    keys: NDArray[np.uint64] = passages.column("key").to_numpy(zero_copy_only=True)
    return keys


def open_passages(path: Path) -> pa.RecordBatch:
    """Memory-map a passage file. Raises RalmError if it is not one."""
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).get_batch(0)
    except (pa.ArrowInvalid, OSError) as error:
        raise RalmError(f"{path} is damaged ({error}): restore it from a copy, or build again.") from None


def open_array(path: Path) -> NDArray[Any]:
    """Memory-map an array file, such as vectors or codes. Raises RalmError if it is not one."""
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise RalmError(f"{path} is damaged ({error}): restore it from a copy, or build again.") from None
    return found


def open_shard(root: Path, entry: ShardEntry) -> Shard:
    """Memory-map one shard's files. Raises RalmError where they disagree with the manifest."""
    passages = open_passages(root / entry.passages.path)
    vectors = open_array(root / entry.vectors.path)
    for path, found in (
        (entry.passages.path, passages.num_rows),
        (entry.vectors.path, len(vectors)),
    ):
        if found != entry.rows:
            raise RalmError(f"{root / path} has {found} rows where the manifest says {entry.rows}.")
    return Shard(passages, vectors)


def file_problem(layout: Layout, entry: FileEntry, full: bool) -> str | None:
    """What is wrong with a file of the store, in one sentence, or None. `full` compares checksums."""
    path = layout.root / entry.path
    if not path.exists():
        return f"{path} is missing: restore it from a copy, or build again."
    found = path.stat().st_size
    if found != entry.bytes:
        return f"{path} has {found} bytes where the manifest says {entry.bytes}: restore it from a copy."
    if full and checksum(path) != entry.xxh3:
        return f"{path} is corrupted (its checksum differs): restore it from a copy, or build again."
    return None


def count_problems(manifest: Manifest) -> Iterator[str]:
    """Where the counts of a build do not add up: every record read is indexed or accounted for."""
    counts: dict[str, Any] = manifest.counts
    removed = sum(n for name, n in counts.items() if name.startswith("removed."))
    if counts["records"] != counts["documents"] + counts["unreadable"]:
        yield "records read are not documents plus unreadable records"
    if counts["documents"] != counts["indexed"] + removed:
        yield "documents are not those indexed plus those removed"
    if counts["passages"] != manifest.rows:
        yield "passages are not the rows of the shards"


def verify(path: Path | str) -> list[str]:
    """Read everything and say what is wrong, one sentence each; an empty list is a whole store.

    Checks every checksum, that the counts add up, and that passages, vectors and index codes have
    the same rows.
    """
    layout = Layout(Path(path))
    manifest = current(layout)
    problems = [p for e in manifest.files if (p := file_problem(layout, e, full=True))]
    problems += [f"{layout.pointer}: {p}." for p in count_problems(manifest)]
    if problems:
        return problems
    for entry in manifest.shards:
        try:
            shard = open_shard(layout.root, entry)
        except RalmError as error:
            problems.append(str(error))
            continue
        if entry.codes and len(open_array(layout.root / entry.codes.path)) != entry.rows:
            problems.append(f"{layout.root / entry.codes.path} has not {entry.rows} rows.")
        problems += list(_identity_problems(layout.root / entry.passages.path, shard.passages))
    return problems


def _identity_problems(path: Path, passages: pa.RecordBatch) -> Iterator[str]:
    if not passages.num_rows:
        return
    for row in {0, passages.num_rows - 1}:
        if passage_at(passages, row).key != passages.column("key")[row].as_py():
            yield f"{path}: the key of row {row} is not the hash of its identity."
