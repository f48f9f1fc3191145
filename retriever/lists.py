"""Codes of shards to the lists of an index, in memory.

Lists are given their sizes before they are filled: lists that grow by themselves take half as much again, and
FAISS's `add_sa_codes` appends code by code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.manifest import Manifest
from datastore.store import open_array

# Codes sorted by list at once.
_BULK_BYTES = 1 << 28


@dataclass(frozen=True)
class Piece:
    """Codes of one list out of some shards, and their row ids; `at` of this list's came before."""

    number: int
    at: int
    ids: NDArray[np.int64]
    codes: NDArray[np.uint8]


@dataclass(frozen=True)
class ListedCodes:
    """The codes of a store, each with the number of its list in its first `width` bytes."""

    root: Path
    manifest: Manifest
    nlist: int
    width: int

    @classmethod
    def of(cls, ivf: Any, root: Path, manifest: Manifest) -> "ListedCodes":
        """As an IVF index reads them."""
        return cls(root, manifest, int(ivf.nlist), int(ivf.coarse_code_size()))

    def sizes(self) -> NDArray[np.int64]:
        """How many codes each list has: int64 [nlist]."""
        sizes = np.zeros(self.nlist, np.int64)
        for _, codes in self._bulks():
            sizes += np.bincount(self._lists(codes), minlength=self.nlist)
        return sizes

    def pieces(self) -> Iterator[Piece]:
        """All codes, a list's at a time out of as many shards as are held at once."""
        done = np.zeros(self.nlist, np.int64)
        for rows, codes in self._bulks():
            lists = self._lists(codes)
            order = np.argsort(lists, kind="stable")
            counts = np.bincount(lists, minlength=self.nlist)
            bodies, ids = np.ascontiguousarray(codes[order, self.width :]), rows[order]
            ends = np.cumsum(counts)
            for number in np.flatnonzero(counts).tolist():
                mine = slice(int(ends[number] - counts[number]), int(ends[number]))
                yield Piece(number, int(done[number]), ids[mine], bodies[mine])
            done += counts

    def _lists(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        # Little-endian, as FAISS writes them.
        lists = np.zeros(len(codes), np.int64)
        for n in range(self.width):
            lists |= codes[:, n].astype(np.int64) << (8 * n)
        return lists

    def _bulks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Row ids and codes of many shards at a time, or of a part of a large one."""
        rows: list[NDArray[np.int64]] = []
        codes: list[NDArray[np.uint8]] = []
        held = 0
        for shard in self.manifest.shards:
            assert shard.codes is not None  # Every index with lists has codes.
            its = open_array(self.root / shard.codes.path)
            step = max(1, _BULK_BYTES // its.shape[1])
            for at in range(0, len(its), step):
                codes.append(its[at : at + step])
                rows.append(np.arange(shard.first_row + at, shard.first_row + at + len(codes[-1])))
                held += codes[-1].nbytes
                if held >= _BULK_BYTES:
                    yield np.concatenate(rows), np.concatenate(codes)
                    rows, codes, held = [], [], 0
        if codes:
            yield np.concatenate(rows), np.concatenate(codes)


def fill(ivf: Any, root: Path, manifest: Manifest) -> None:
    """Give an empty IVF index the codes of a store."""
    codes = ListedCodes.of(ivf, root, manifest)
    lists = faiss.ArrayInvertedLists(ivf.nlist, ivf.code_size)
    for number, size in enumerate(codes.sizes().tolist()):
        lists.resize(number, size)
    for piece in codes.pieces():
        ids, bodies = faiss.swig_ptr(piece.ids), faiss.swig_ptr(piece.codes.ravel())
        lists.update_entries(piece.number, piece.at, len(piece.ids), ids, bodies)
    ivf.ntotal = lists.compute_ntotal()
    lists.this.disown()
    ivf.replace_invlists(lists, True)
