"""Datastore: one generation, opened: row id -> passage, vector, key, and whether a view has it.

A row id is the first row of its shard plus the row within it; no other id map exists, so what is
held in memory grows with the number of shards, not of passages.

Decisions: docs/decisions/object-storage.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from base.errors import RalmError, Unavailable
from datastore.files.hold import Hold
from datastore.files.layout import Layout
from datastore.generations.generation import open_current
from datastore.generations.manifest import FileEntry, Manifest
from datastore.objects.origin import locate
from datastore.opening import lost_words, require_searchable
from datastore.schema import Passage, passage_at
from datastore.shard import Shard, ShardColumns, open_shard, shard_keys
from datastore.view import View, mix

# In any sequence that numpy takes.
RowIds = Sequence[int] | NDArray[np.int64]


class Datastore:
    """One generation of a datastore, opened read-only. Safe to share between threads.

    Rows that are taken down keep their numbers and count no more.
    """

    def __init__(self, layout: Layout, manifest: Manifest, held: Hold | None = None) -> None:
        """`held` keeps the generation's files from being swept away for as long as this object lives."""
        self.layout = layout
        self.manifest = manifest
        self._held = held
        self._shards: dict[int, Shard] = {}
        self._opening = Lock()

    @classmethod
    def open(cls, path: Path | str) -> "Datastore":
        """Open the current generation. Raises RalmError naming the file that is missing or damaged."""
        layout = Layout(locate(path))
        manifest, held = open_current(layout)
        require_searchable(layout, manifest)
        return cls(layout, manifest, held)

    def hiding(
        self, hidden: Mapping[int, NDArray[np.bool_]], takedowns: tuple[FileEntry, ...]
    ) -> "Datastore":
        """The same generation without some rows of some shards, by the shards' numbers: bool [rows] each.

        `takedowns` are the lists that say so: it counts them as its own, and keeps its hash.
        """
        shards, opened = list(self.manifest.shards), dict(self._shards)
        for number, rows in hidden.items():
            shard = self._shard(number)
            gone = rows if shard.alive is None else rows | ~shard.alive
            opened[number] = Shard(shard.passages, shard.vectors, np.packbits(gone, bitorder="little"))
            shards[number] = shards[number].model_copy(update={"taken_down": int(gone.sum())})
        listed = (*self.manifest.takedowns, *takedowns)
        manifest = self.manifest.model_copy(update={"shards": tuple(shards), "takedowns": listed})
        found = Datastore(self.layout, manifest, self._held)
        found._shards = opened
        found.hash = self.hash
        return found

    @cached_property
    def hash(self) -> str:
        """The manifest's hash; that of what is hidden from a generation is the generation's own."""
        return self.manifest.hash

    @cached_property
    def rows(self) -> int:
        """Number of rows, taken down or not."""
        return self.manifest.rows

    @cached_property
    def passages(self) -> int:
        """Number of passages that count."""
        return self.manifest.passages

    @cached_property
    def lost_words(self) -> Path | None:
        """The first file of the BM25 index that is gone, None if all are there or there is no such index."""
        lost = lost_words(self.layout, self.manifest)
        return self.layout.root / lost[0].path if lost else None

    @property
    def has_words(self) -> bool:
        """Whether there is a BM25 index, and all of it."""
        return self.manifest.has_words and self.lost_words is None

    def keeps_all(self, view: View) -> bool:
        """Whether every row of the store is in a view."""
        return view.everything and self.passages == self.rows

    @cached_property
    def _first_rows(self) -> NDArray[np.int64]:
        return np.array([shard.first_row for shard in self.manifest.shards], np.int64)

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
        number = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        return self._shard(number), row - self.manifest.shards[number].first_row

    def passage(self, row: int) -> Passage:
        """The passage with this row id. Raises IndexError if there is none, RalmError if it is taken down.

        Raises Unavailable for one that is not what was written: its file was damaged since it was opened.
        """
        shard, local = self._locate(row)
        if shard.alive is not None and not shard.alive[local]:
            raise RalmError(f"The passage of row {row} is taken down.")
        try:
            found = passage_at(shard.passages, local)
            whole = found.key == shard.passages.column("key")[local].as_py()
        except (ValueError, pa.ArrowException):
            whole = False
        if not whole:
            raise Unavailable(
                f"The passage of row {row} is damaged on the disk: `ralm verify` names the file."
            )
        return found

    def document_of(self, row: int) -> tuple[str, str] | None:
        """Domain and id of the document that a row is of, without its text; None if it is taken down.

        Raises IndexError if there is no such row.
        """
        shard, local = self._locate(row)
        if shard.alive is not None and not shard.alive[local]:
            return None
        return shard.passages.column("domain")[local].as_py(), shard.passages.column("doc_id")[local].as_py()

    def vectors(self, rows: RowIds) -> NDArray[np.float16]:
        """The stored vectors of these rows, in ascending order best: float16 [len(rows), dimension]."""
        dimension = self.manifest.encoder.dimension
        out = np.empty(len(rows), np.dtype((np.void, 2 * dimension)))
        for shard, mine, local in self._parts(rows):
            out[mine] = shard.items[local]
        return out.view(np.float16).reshape(-1, dimension)

    def addresses(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in memory the stored vector of each of these rows begins, while the store is open: [n].

        Below 0 for rows below 0, which stand for none. Raises IndexError for rows beyond the last.
        """
        bounds, origins = self._origins
        numbers = bounds.searchsorted(rows, side="right")
        try:
            found: NDArray[np.int64] = origins[numbers]
        except IndexError:
            raise IndexError(f"row {rows.max()} is not within 0..{self.rows - 1}") from None
        found += rows * (2 * self.manifest.encoder.dimension)
        return found

    @cached_property
    def _origins(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First rows of the shards and the end, and where row 0 would lie by each shard's vectors.

        That is: were they those of all rows before it, too. Shard n is between bounds n and n + 1 and is
        number n + 1 of the origins, as a sorted search counts.
        """
        width = 2 * self.manifest.encoder.dimension
        starts = [self._shard(n).vectors.ctypes.data for n in range(len(self.manifest.shards))]
        origins = np.array([0, *starts], np.int64)
        origins[1:] -= self._first_rows * width
        return np.array([*self._first_rows, self.rows], np.int64), origins

    def keys(self, rows: RowIds) -> NDArray[np.uint64]:
        """The passage keys of these rows: uint64 [len(rows)]."""
        out = np.empty(len(rows), np.uint64)
        for shard, mine, local in self._parts(rows):
            out[mine] = shard_keys(shard.passages)[local]
        return out

    def keep(self, views: Sequence[View], rows: RowIds) -> NDArray[np.bool_]:
        """Which of these rows are in each view: bool [len(views), len(rows)].

        Every column is read and every hash computed once for all views. Raises RalmError for an unknown
        domain or column.
        """
        for view in views:
            self.check(view)
        alive = self._alive(rows)
        keys = self.keys(rows) if any(view.fraction < 1.0 for view in views) else None
        hashes: dict[int, NDArray[np.uint64]] = {}
        attributes: dict[View, NDArray[np.bool_]] = {}
        out = np.ones((len(views), len(rows)), bool)
        for number, view in enumerate(views):
            if keys is not None and view.fraction < 1.0:
                if view.seed not in hashes:
                    hashes[view.seed] = mix(keys, view.seed)
                out[number] = hashes[view.seed] < view.bound
            if view.domains or view.where:
                rest = View(domains=view.domains, where=view.where)
                if rest not in attributes:
                    attributes[rest] = self._attributes(rest, rows)
                out[number] &= attributes[rest]
        return out if alive is None else out & alive

    def _alive(self, rows: RowIds) -> NDArray[np.bool_] | None:
        """Which of these rows are not taken down; None if none of the store's are."""
        if self.passages == self.rows:
            return None
        out = np.ones(len(rows), bool)
        for shard, mine, local in self._parts(rows):
            if shard.alive is not None:
                out[mine] = shard.alive[local]
        return out

    def _attributes(self, view: View, rows: RowIds) -> NDArray[np.bool_]:
        out = np.zeros(len(rows), bool)
        for shard, mine, local in self._parts(rows):
            out[mine] = view.keep(ShardColumns(shard.passages, local))
        return out

    def mask(self, view: View) -> NDArray[np.bool_]:
        """Which of all rows are in a view: bool [rows]. Reads the columns the view asks for, in full."""
        self.check(view)
        out = np.zeros(self.rows, bool)
        for number, entry in enumerate(self.manifest.shards):
            mine = slice(entry.first_row, entry.first_row + entry.rows)
            shard = self._shard(number)
            out[mine] = view.keep(ShardColumns(shard.passages))
            if shard.alive is not None:
                out[mine] &= shard.alive
        return out

    def check(self, view: View) -> None:
        """Raise RalmError if a view asks for a domain or a metadata column that no passage has."""
        view.require_known(self.manifest.domains, self.manifest.columns)

    def _parts(self, rows: RowIds) -> Iterator[tuple[Shard, NDArray[np.int64] | slice, NDArray[np.int64]]]:
        """Rows by shard: the shard, the places in `rows`, and the rows within the shard."""
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < self.rows):
            # FAISS says -1 for "nothing found"; numpy would read the last row.
            raise IndexError(f"rows {wanted.min()}..{wanted.max()} are outside 0..{self.rows - 1}")
        # One query's rows come in ascending order: each shard's are a slice of them.
        order = None if (wanted[1:] >= wanted[:-1]).all() else np.argsort(wanted)
        ordered = wanted if order is None else wanted[order]
        bounds = [*np.searchsorted(ordered, self._first_rows).tolist(), len(ordered)]
        for number, (begin, end) in enumerate(pairwise(bounds)):
            if begin < end:
                mine = slice(begin, end) if order is None else order[begin:end]
                yield self._shard(number), mine, ordered[begin:end] - self._first_rows[number]

    def shard_vectors(self) -> Iterator[NDArray[np.float16]]:
        """The vectors of all rows, shard by shard, memory-mapped."""
        for number in range(len(self.manifest.shards)):
            yield self._shard(number).vectors

    def shard_alive(self) -> Iterator[NDArray[np.bool_] | None]:
        """Which rows of each shard are not taken down, shard by shard: bool [rows]; None if all of them."""
        for number in range(len(self.manifest.shards)):
            yield self._shard(number).alive

    def shard_keys(self) -> Iterator[NDArray[np.uint64]]:
        """The passage keys of all rows, shard by shard, without a copy."""
        for number in range(len(self.manifest.shards)):
            yield shard_keys(self._shard(number).passages)

    def shard_passages(self) -> Iterator[pa.RecordBatch]:
        """The passages of all rows, taken down or not, shard by shard, memory-mapped."""
        for number in range(len(self.manifest.shards)):
            yield self._shard(number).passages

    def __iter__(self) -> Iterator[Passage]:
        """Every passage that counts, in row order."""
        for number in range(len(self.manifest.shards)):
            shard = self._shard(number)
            for row in range(shard.passages.num_rows):
                if shard.alive is None or shard.alive[row]:
                    yield passage_at(shard.passages, row)
