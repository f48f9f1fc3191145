"""A generation without what later ones have taken down, for a reader that cannot open these.

Of a later generation its manifest is read, and of its files those few that say what is hidden: shards, index
and all else may be damaged, or take minutes to load. If its manifest is damaged too, the lists of takedowns
that lie in the store are read.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.generations.manifest import FileEntry, Manifest, ShardEntry
from datastore.integrity import require_whole
from datastore.shard import open_deleted, open_passages
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns


def without_later(store: Datastore, later: Manifest) -> Datastore:
    """A store without the documents that a later generation has taken down; itself if there are none.

    Rows keep their numbers and the store its name. A list of takedowns that cannot be read is left out.
    """
    lists = [entry for entry in later.takedowns if entry not in store.manifest.takedowns]
    if not lists:
        return store
    hiding = _Hiding(store, later, tuple(lists))
    hidden = dict(hiding.rows())
    known = tuple(entry for entry in lists if entry not in hiding.unread)
    return store.hiding(hidden, known) if hidden or known else store


def later_than(layout: Layout, manifest: Manifest) -> Manifest:
    """The current generation, or what is left of it if its manifest cannot be read.

    Raises RalmError if nothing is.
    """
    try:
        return current(layout)
    except RalmError:
        found = by_lists(layout, manifest)
        if found is None:
            raise
        return found


def by_lists(layout: Layout, manifest: Manifest) -> Manifest | None:
    """A manifest of no shards, with the lists of takedowns written since this one; None without any.

    A list is believed though no manifest names it. So one counts, too, of a takedown that was killed before
    it was published: what the damaged manifest names, nobody can say. Whoever wrote the list wanted its
    documents gone. What is hidden too early is shown again once the manifest is restored; what is shown too
    long cannot be called back.
    """
    since, lists = manifest.generation, []
    with suppress(OSError):
        for path in sorted(layout.takedowns(since).parent.glob("??????.jsonl")):
            if path > layout.takedowns(since):
                lists.append(FileEntry.of(layout.info(path)))
    if not lists:
        return None
    return manifest.model_copy(update={"takedowns": (*manifest.takedowns, *lists), "shards": ()})


class _Hiding:
    """Which rows of a store lists of takedowns hide, and the lists that were needed and could not be read."""

    def __init__(self, store: Datastore, later: Manifest, lists: tuple[FileEntry, ...]) -> None:
        self._store, self._lists = store, lists
        self._later = {shard.passages: shard for shard in later.shards}
        self._takedowns: Takedowns | None = None
        self.unread: set[FileEntry] = set()

    def rows(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Shards, by number, and which of their rows are hidden: bool [rows]."""
        root = self._store.layout.root
        for number, alive in enumerate(self._store.shard_alive()):
            entry = self._store.manifest.shards[number]
            there = self._later.get(entry.passages)
            found = self._noted(there) if there is not None else None
            if found is None:
                # Rewritten since, or what was noted is damaged: the rows are looked for.
                found = self._listed(open_passages(root / entry.passages.path))
            if (found if alive is None else found & alive).any():
                yield number, found

    def _noted(self, entry: ShardEntry) -> NDArray[np.bool_] | None:
        """As the later generation has noted it; None if that cannot be read."""
        if entry.deleted is None:
            return np.zeros(entry.rows, bool)
        with suppress(RalmError, OSError):
            require_whole(self._store.layout.root, [entry.deleted])
            bits = open_deleted(self._store.layout.root, entry)
            assert bits is not None  # There is a file.
            return np.unpackbits(bits, count=entry.rows, bitorder="little").astype(bool)
        return None

    def _listed(self, passages: pa.RecordBatch) -> NDArray[np.bool_]:
        if self._takedowns is None:
            self._takedowns = Takedowns(frozenset().union(*map(self._read, self._lists)))
        return self._takedowns.rows(passages)

    def _read(self, entry: FileEntry) -> frozenset[Takedown]:
        try:
            require_whole(self._store.layout.root, [entry])
            return Takedowns.read([self._store.layout.root / entry.path]).documents
        except (RalmError, OSError):
            self.unread.add(entry)
            return frozenset()
