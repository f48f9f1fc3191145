"""Documents of a store: which rows are whose, found by identity without an index of their own.

The rows of a document follow each other, whatever shards they lie in. A passage's key is a hash of its
document's identity and its number there, so a document is found by the key of its first passage: 8 bytes a
row are read. Those whose first passage was never kept are known by their ids, which are read once a store.

Decisions: docs/decisions/identity-and-metadata.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datastore.schema import passage_key
from datastore.store import Datastore

_counted: "WeakKeyDictionary[Datastore, int]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Beheaded:
    """Documents without their passage 0: the key that it would have had, and a row of theirs [n]."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.int64]

    def by_key(self, key: int) -> list[int]:
        """The rows of those with a key."""
        found: list[int] = self.rows[self.keys == np.uint64(key)].tolist()
        return found


_beheaded: "WeakKeyDictionary[Datastore, _Beheaded]" = WeakKeyDictionary()
# Whether a document, by domain and id, is the one that is looked for.
IsIt = Callable[[str, str], bool]


def find_document(store: Datastore, first_key: int, is_it: IsIt) -> range | None:
    """The rows of a document; None if it is not there, or taken down.

    `first_key` is the key of its passage 0 (`schema.passage_key`). Keys may collide, so `is_it` decides.
    """
    for row in chain(_by_key(store, first_key), _without_first(store, first_key)):
        document = store.document_of(row)
        if document is not None and is_it(*document):
            return rows_around(store, row)
    return None


def _by_key(store: Datastore, key: int) -> Iterator[int]:
    """The rows with a passage key."""
    for entry, keys in zip(store.manifest.shards, store.shard_keys(), strict=True):
        yield from (entry.first_row + np.flatnonzero(keys == np.uint64(key))).tolist()


def _without_first(store: Datastore, first_key: int) -> Iterator[int]:
    """The rows of documents whose lost passage 0 had a key. All ids are read for it, once a store."""
    if store not in _beheaded:
        found = {
            row: passage_key(*document, 0)
            for row in _headless(store)
            if (document := store.document_of(row)) is not None
        }
        keys, rows = np.array([*found.values()], np.uint64), np.array([*found], np.int64)
        _beheaded[store] = _Beheaded(keys, rows)
    yield from _beheaded[store].by_key(first_key)


def _headless(store: Datastore) -> Iterator[int]:
    """The first rows, of a shard or a document, that are not passage 0: those of documents that lost it."""
    for entry, passages in zip(store.manifest.shards, store.shard_passages(), strict=True):
        chunks = passages.column("chunk").to_numpy(zero_copy_only=True)
        yield from (entry.first_row + np.flatnonzero(_begins(passages) & (chunks != 0))).tolist()


def _begins(passages: pa.RecordBatch) -> NDArray[np.bool_]:
    """Which rows of a shard are of another document than the row before, the first one among them."""
    found = np.ones(passages.num_rows, bool)
    found[1:] = False
    for name in ("doc_id", "domain"):
        column = passages.column(name)
        found[1:] |= pc.not_equal(column.slice(1), column.slice(0, max(0, len(column) - 1))).to_numpy(
            zero_copy_only=False
        )
    return found


def rows_around(store: Datastore, row: int) -> range:
    """All rows of the document that a row is of. Raises IndexError if there is no such row."""
    document, first, end = store.document_of(row), row, row + 1
    while first > 0 and store.document_of(first - 1) == document:
        first -= 1
    while end < store.rows and store.document_of(end) == document:
        end += 1
    return range(first, end)


def count_documents(store: Datastore) -> int:
    """How many documents of a store count. Where some are taken down, all ids are read for it, once."""
    if store not in _counted:
        _counted[store] = _count(store)
    return _counted[store]


def _count(store: Datastore) -> int:
    indexed = store.manifest.counts.get("indexed")
    if indexed is not None and store.passages == store.rows:
        return indexed
    found = 0
    for entry, passages, alive in zip(
        store.manifest.shards, store.shard_passages(), store.shard_alive(), strict=True
    ):
        begins = _begins(passages)
        begins[0] = entry.first_row == 0 or store.document_of(entry.first_row) != store.document_of(
            entry.first_row - 1
        )
        found += int(np.count_nonzero(begins if alive is None else begins & alive))
    return found


def documents_from(store: Datastore, row: int, step: int = 1) -> Iterator[range]:
    """The rows of each document from a row on, in row order; backwards for a `step` of -1."""
    while 0 <= row < store.rows:
        if store.document_of(row) is None:
            row += step
            continue
        found = rows_around(store, row)
        yield found
        row = found.stop if step > 0 else found.start - 1
