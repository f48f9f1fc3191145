"""Documents that near-duplicates are looked for among: their band keys, n-grams and identities.

They stay in the store, so that what is added is compared with all that came before it. A document is split
<< 32 | row; a negative split is one of those that the store held before.

Decisions: docs/decisions/duplicates.md.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.writing import FileInfo, save_array
from datastore.shard import open_array
from datastore.takedown import Takedowns
from pipelines.corpus.ingestion import NOTHING, Held
from pipelines.duplicates.dedup import among
from pipelines.duplicates.repeats import write_sorted
from pipelines.execution.markers import left_by

# Of a split: uint64 [keys, 2], band key and row, ascending; uint32 [n-grams], the sets of its documents one
# after another, each ascending; uint64 [documents, 3], identity and where a document's n-grams end.
# Of a job: uint64 [near-duplicates, 4], identities of what was dropped and of what stays, ascending.
_Part = Literal["keys", "grams", "documents", "kept"]
# A system allows a process some 65,000 maps.
_OPEN_FILES = 1024
_ROW_BITS = np.int64(32)
_ROWS = np.int64((1 << 32) - 1)


def documents_of(split: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of documents in some rows of a split."""
    return rows | np.int64(split) << _ROW_BITS


def first_of(split: int) -> int:
    """The number of a split's first document."""
    return split << int(_ROW_BITS)


def places_of(documents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits and rows of documents."""
    return documents >> _ROW_BITS, documents & _ROWS


class Signed:
    """The signed documents of a job, and of the store that it adds to. The files used last stay open."""

    def __init__(self, layout: Layout, held: Held = NOTHING) -> None:
        self._layout, self._held = layout, held
        self._before = {
            part: [path for path in held.near if path.name.endswith(f".{part}.npy")]
            for part in get_args(_Part)
        }
        self._open: OrderedDict[tuple[int, _Part], NDArray[Any]] = OrderedDict()

    @property
    def splits_before(self) -> range:
        """The splits of what the store held before."""
        return range(-len(self._before["keys"]), 0)

    def keys(self, split: int) -> NDArray[np.uint64]:
        """Band keys and rows of a split, by key: uint64 [keys, 2], memory-mapped."""
        return open_array(self._path(split, "keys"))

    def grams(self, document: int) -> NDArray[np.uint32]:
        """The set of a document's n-grams."""
        split, row = document >> 32, document & 0xFFFF_FFFF
        ends = self._of(split, "documents")[:, 2]
        grams: NDArray[np.uint32] = self._of(split, "grams")[
            int(ends[row - 1]) if row else 0 : int(ends[row])
        ]
        return grams

    def identities(self, documents: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Hashes of domain and id: uint64 [n, 2]."""
        out = np.empty((len(documents), 2), np.uint64)
        splits, rows = places_of(documents)
        for split in np.unique(splits).tolist():
            mine = splits == split
            out[mine] = self._of(split, "documents")[rows[mine], :2]
        return out

    def roots(self, documents: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Identities of the documents that stay for these: their own, unless they were dropped before."""
        identities = self.identities(documents)
        roots = identities.copy()
        for path in self._before["kept"]:
            found = open_array(path)
            places = np.searchsorted(found[:, 0], identities[:, 0])
            asked = np.arange(len(identities))
            while len(asked := asked[places[asked] < len(found)]):
                there = found[places[asked], :2]
                same = (there == identities[asked]).all(axis=1)
                roots[asked[same]] = found[places[asked[same]], 2:]
                # Of identities that agree in their first half, the next.
                asked = asked[~same & (there[:, 0] == identities[asked, 0])]
                places[asked] += 1
        return roots

    def gone(self, documents: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these are no longer in the store, themselves or in the document that stayed for them."""
        out = np.zeros(len(documents), bool)
        (before,) = np.nonzero(documents < 0)
        taken_down = Takedowns.read(self._held.takedowns).hashes
        if len(before) and len(taken_down):
            each, places = np.unique(documents[before], return_inverse=True)
            lost = among(self.roots(each), taken_down) | among(self.identities(each), taken_down)
            out[before] = lost[places]
        return out

    def write(
        self,
        split: int,
        keys: NDArray[np.uint64],
        sets: Sequence[NDArray[np.uint32]],
        identities: NDArray[np.uint64],
    ) -> tuple[FileInfo, ...]:
        """Write a split: keys [keys, 2], the n-grams of every document, and identities [documents, 2]."""
        ends = np.cumsum([len(one) for one in sets], dtype=np.uint64)
        grams = np.concatenate([np.empty(0, np.uint32), *sets])
        layout, documents = self._layout, np.column_stack([identities, ends])
        return (
            write_sorted(layout, layout.near(split, "keys"), keys),
            layout.write(layout.near(split, "grams"), lambda handle: save_array(handle, grams)),
            layout.write(layout.near(split, "documents"), lambda handle: save_array(handle, documents)),
        )

    def write_kept(self, dropped: NDArray[np.int64], kept: NDArray[np.int64]) -> FileInfo:
        """Write which documents stay for those that are dropped."""
        rows = np.column_stack([self.identities(dropped), self.roots(kept)])
        return write_sorted(self._layout, self._layout.near(0, "kept"), rows)

    def _of(self, split: int, part: _Part) -> NDArray[Any]:
        """A part of a split, memory-mapped."""
        name = (split, part)
        if name not in self._open:
            self._open[name] = open_array(self._path(split, part))
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return self._open[name]

    def _path(self, split: int, part: _Part) -> Path:
        if split < 0:
            return self._before[part][split]
        return left_by(self._layout, split, self._layout.near(split, part), "near-sign")
