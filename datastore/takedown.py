"""Takedowns: documents that a store may not show, now or after any later addition, compaction or rebuild.

A takedown names a document; which rows that hides follows from it for each generation. The list grows by a
file with each generation that takes something down.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.writing import save_array
from datastore.generations.generation import current, publish
from datastore.generations.manifest import FileEntry, Manifest, ShardEntry
from datastore.integrity import require_whole
from datastore.schema import identity_hash, load_metadata
from datastore.shard import open_passages, open_shard
from datastore.store import Datastore
from datastore.view import View


@dataclass(frozen=True, slots=True, order=True)
class Takedown:
    """A document that is taken down, by its identity."""

    domain: str
    doc_id: str


@dataclass(frozen=True)
class Takedowns:
    """A set of takedowns."""

    documents: frozenset[Takedown]

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Takedowns":
        """Read JSON Lines of `domain` and `id`. Raises RalmError naming the line that holds no takedown."""
        found = set()
        for path in paths:
            try:
                lines = path.read_bytes().splitlines()
            except OSError as error:
                raise RalmError(
                    f"{path} cannot be read ({error.strerror}): name a file of takedowns."
                ) from None
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                one = _takedown(line)
                if one is None:
                    raise RalmError(
                        f'{path}, line {number}, is no takedown: write {{"domain": "...", "id": "..."}}.'
                    )
                found.add(one)
        return cls(frozenset(found))

    @classmethod
    def load(cls, layout: Layout, manifest: Manifest) -> "Takedowns":
        """All takedowns of a store. Raises RalmError if a list is not what it was."""
        require_whole(layout.root, manifest.takedowns)
        return cls.read(layout.root / entry.path for entry in manifest.takedowns)

    def write(self, layout: Layout, generation: int) -> FileEntry:
        """Write the takedowns that a generation adds."""
        lines = [orjson.dumps({"domain": d.domain, "id": d.doc_id}) for d in sorted(self.documents)]
        data = b"".join(line + b"\n" for line in lines)
        return FileEntry.of(layout.write(layout.takedowns(generation), lambda handle: handle.write(data)))

    def __contains__(self, document: tuple[str, str]) -> bool:
        # Asked of every document that is read: most builds take none down.
        return bool(self.documents) and Takedown(*document) in self.documents

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """Identity hashes: uint64 [n, 2]."""
        return np.array([identity_hash(d.domain, d.doc_id) for d in self.documents], np.uint64).reshape(-1, 2)

    @cached_property
    def _ids(self) -> pa.Array:
        return pa.array(sorted({d.doc_id for d in self.documents}), pa.string())

    def rows(self, passages: pa.RecordBatch) -> NDArray[np.bool_]:
        """Which rows of a shard belong to a document that is taken down: bool [rows]."""
        out = np.zeros(passages.num_rows, bool)
        if not self.documents:
            return out
        ids, domains = passages.column("doc_id"), passages.column("domain")
        # By the id alone first, in Arrow: few rows are left to look at in Python.
        for row in np.flatnonzero(pc.is_in(ids, value_set=self._ids).to_numpy(zero_copy_only=False)).tolist():
            out[row] = (domains[row].as_py(), ids[row].as_py()) in self
        return out


def _takedown(line: bytes) -> Takedown | None:
    try:
        record = orjson.loads(line)
        domain, doc_id = record["domain"], record["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    # As a corpus' ids are read: a number stands for its digits.
    if isinstance(doc_id, int) and not isinstance(doc_id, bool):
        doc_id = str(doc_id)
    return Takedown(domain, doc_id) if isinstance(domain, str) and isinstance(doc_id, str) else None


def matching(store: Datastore, view: View, ids: Sequence[str] | None = None) -> Takedowns:
    """The documents of a store that have a passage in a view and, if ids are given, one of these ids."""
    require_whole(store.layout.root, scanned(store.manifest))
    wanted = None if ids is None else pa.array(sorted(set(ids)), pa.string())
    mask, found = store.mask(view), set()
    for entry in store.manifest.shards:
        passages = open_passages(store.layout.root / entry.passages.path)
        mine = mask[entry.first_row : entry.first_row + entry.rows]
        if wanted is not None:
            mine = mine & pc.is_in(passages.column("doc_id"), value_set=wanted).to_numpy(zero_copy_only=False)
        rows = passages.select(["domain", "doc_id"]).take(pa.array(np.flatnonzero(mine)))
        found |= set(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    return Takedowns(frozenset(Takedown(domain, doc_id) for domain, doc_id in found))


def scanned(manifest: Manifest) -> list[FileEntry]:
    """The files that are read to find a document's rows.

    All of them are compared before a takedown: one flipped bit of an id, and a row would stay.
    """
    return [f for shard in manifest.shards for f in (shard.passages, shard.deleted) if f is not None]


def take_down(layout: Layout, takedowns: Takedowns) -> Manifest:
    """Publish a generation without these documents; the current one if all of them are taken down already.

    Raises RalmError naming a file that is not what it was.
    """
    before = current(layout)
    if takedowns.documents - Takedowns.load(layout, before).documents:
        # Not while others wait: of a large store it takes minutes.
        require_whole(layout.root, scanned(before))
    with layout.publishing():
        manifest = current(layout)
        new = Takedowns(takedowns.documents - Takedowns.load(layout, manifest).documents)
        if not new.documents:
            return manifest
        require_whole(layout.root, scanned(manifest))
        generation = manifest.generation + 1
        listed = (*manifest.takedowns, new.write(layout, generation))
        manifest = manifest.model_copy(update={"generation": generation, "takedowns": listed})
        manifest = without(layout, manifest, new)
        publish(layout, manifest)
        return manifest


def without(layout: Layout, manifest: Manifest, takedowns: Takedowns, first: int = 0) -> Manifest:
    """A manifest whose shards, from the `first` on, hide these documents too.

    The rows they lose are written beside them.
    """
    domains, columns = Counter(manifest.domains), Counter(manifest.columns)
    shards = list(manifest.shards[:first])
    for entry in manifest.shards[first:]:
        shard = open_shard(layout.root, entry)
        lost = takedowns.rows(shard.passages)
        if shard.alive is not None:
            lost &= shard.alive
        if not lost.any():
            shards.append(entry)
            continue
        shards.append(_hiding(layout, manifest.generation, entry, lost, shard.alive))
        gone = shard.passages.take(pa.array(np.flatnonzero(lost)))
        domains.subtract(gone.column("domain").to_pylist())
        for metadata in gone.column("metadata").to_pylist():
            columns.subtract(load_metadata(metadata).keys())
    return manifest.model_copy(
        update={
            "shards": tuple(shards),
            "domains": {name: n for name, n in sorted(domains.items()) if n},
            "columns": {name: n for name, n in sorted(columns.items()) if n},
        }
    )


def _hiding(
    layout: Layout,
    generation: int,
    entry: ShardEntry,
    lost: NDArray[np.bool_],
    alive: NDArray[np.bool_] | None,
) -> ShardEntry:
    deleted = lost if alive is None else lost | ~alive
    bits = np.packbits(deleted, bitorder="little")
    path = layout.deleted(entry.passages.path, generation)
    info = layout.write(path, lambda handle: save_array(handle, bits))
    return entry.model_copy(update={"deleted": FileEntry.of(info), "taken_down": int(deleted.sum())})
