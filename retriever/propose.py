"""Candidates of each query in each view, from one search of the index's codes.

A view's candidates are its `want` best rows by their codes' scores, and those that tie with the last
of them: which rows they are follows from the view alone, not from how deep the index was searched, nor
from whether the view was applied before the search or after it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import faiss
import numpy as np
from numpy.typing import NDArray

from datastore.store import Datastore
from datastore.view import View
from retriever.index import Assigned, SearchIndex

# How much deeper each further search goes when a view leaves too few rows.
_DEEPENING = 4
# Searched a little deeper than asked, so that ties with the last candidate are seen at once.
_SPARE = 16
# Deeper than this, or than this share of all rows, a view is applied inside the search instead: a
# selector costs a look at every row once, a deep search a long heap for every query.
_DEEPEST = 4096
_DEEPEST_SHARE = 1 / 8
# Hits held at once, 12 bytes each: a deep search of many queries goes block by block.
_BLOCK_HITS = 1 << 22
_SELECTORS = 16


@dataclass(frozen=True, slots=True)
class Candidates:
    """Row ids in no order, with their codes' scores; `exhausted` if the lists probed hold no more."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    exhausted: bool


Found = list[list[Candidates | None]]


class Proposer:
    """Searches the codes of one store. Safe between threads."""

    def __init__(self, store: Datastore, index: SearchIndex) -> None:
        self._store = store
        self._index = index
        self._selectors: OrderedDict[View, tuple[object, NDArray[np.uint8]]] = OrderedDict()
        self._selecting = Lock()

    def propose(
        self, queries: Assigned, views: Sequence[View], want: int, depth: int = 0
    ) -> list[list[Candidates]]:
        """Candidates of each query in each view: [views][n].

        The index is searched once, to `depth` (0: chosen from the views). Only queries that a view leaves
        with fewer than `want` rows are searched again, deeper, and at last with the view as a selector.
        """
        total, count = self._index.rows, len(queries)
        found: Found = [[None] * count for _ in views]
        deepest = max(want + _SPARE, min(_DEEPEST, int(total * _DEEPEST_SHARE)), depth)
        shared = [n for n, view in enumerate(views) if want / self._share(view) <= deepest]
        depth = depth or max((int(1.5 * want / self._share(views[n])) for n in shared), default=0)
        depth = min(max(depth, want + _SPARE), total)
        pending = np.arange(count)
        while len(pending) and shared and depth <= max(deepest, want + _SPARE):
            self._search(queries, pending, [(n, views[n]) for n in shared], found, want, depth)
            pending = np.array([q for q in pending if any(found[n][q] is None for n in shared)], np.int64)
            if depth == total:
                break
            depth = min(_DEEPENING * depth, total)
        for number, view in enumerate(views):
            missing = np.array([q for q in range(count) if found[number][q] is None], np.int64)
            if len(missing):
                self._select(queries, missing, number, view, found, want)
        return [[one for one in several if one is not None] for several in found]

    def _share(self, view: View) -> float:
        """About which share of the rows a view keeps; conditions on metadata are not foreseen."""
        manifest = self._store.manifest
        share = view.fraction
        if view.domains:
            share *= sum(manifest.domains.get(d, 0) for d in view.domains) / max(1, manifest.rows)
        return max(share, 1 / max(1, manifest.rows))

    def _search(
        self,
        queries: Assigned,
        pending: NDArray[np.int64],
        views: Sequence[tuple[int, View]],
        found: Found,
        want: int,
        depth: int,
    ) -> None:
        block = max(1, _BLOCK_HITS // depth)
        for at in range(0, len(pending), block):
            mine = pending[at : at + block]
            scores, rows = self._index.search(queries[mine], depth)
            exists = rows >= 0
            kept = np.zeros((len(views), *rows.shape), bool)
            kept[:, exists] = self._store.keep([view for _, view in views], rows[exists])
            for place, (number, _) in enumerate(views):
                complete(found[number], mine, scores, rows, kept[place], want, depth >= self._index.rows)

    def _select(
        self,
        queries: Assigned,
        missing: NDArray[np.int64],
        number: int,
        view: View,
        found: Found,
        want: int,
    ) -> None:
        """Answer with the view as a selector inside the search: as deep as asked is deep enough."""
        selector = self._selector(view)
        depth = min(want + _SPARE, self._index.rows)
        while len(missing):
            block = max(1, _BLOCK_HITS // depth)
            for at in range(0, len(missing), block):
                mine = missing[at : at + block]
                scores, rows = self._index.search(queries[mine], depth, selector)
                complete(found[number], mine, scores, rows, rows >= 0, want, depth >= self._index.rows)
            missing = np.array([q for q in missing if found[number][q] is None], np.int64)
            depth = min(_DEEPENING * depth, self._index.rows)

    def _selector(self, view: View) -> object:
        with self._selecting:
            if view not in self._selectors:
                bits = np.packbits(self._store.mask(view), bitorder="little")
                # FAISS keeps a pointer to the bits: they stay beside it.
                self._selectors[view] = (faiss.IDSelectorBitmap(bits), bits)
            self._selectors.move_to_end(view)
            while len(self._selectors) > _SELECTORS:
                self._selectors.popitem(last=False)
            return self._selectors[view][0]


def complete(
    found: list[Candidates | None],
    queries: NDArray[np.int64],
    scores: NDArray[np.float32],
    rows: NDArray[np.int64],
    kept: NDArray[np.bool_],
    want: int,
    all_seen: bool,
) -> None:
    """Fill in the candidates of those queries that a search [n, depth] was deep enough for.

    It was if `want` kept rows score above the last one seen (an equal one may follow), or if the lists
    probed hold no more.
    """
    exhausted = (rows[:, -1] < 0) | all_seen
    ordinal = np.cumsum(kept, axis=1)
    enough = ordinal[:, -1] >= want
    # The place of the last wanted row: the first whose ordinal is `want`.
    last = np.where(enough, np.argmax(ordinal >= want, axis=1), rows.shape[1] - 1)
    bound = np.take_along_axis(scores, last[:, None], axis=1)
    bound[~enough] = -np.inf
    chosen = kept & (scores >= bound)
    done = exhausted | (enough & (bound[:, 0] > scores[:, -1]))
    for place in np.flatnonzero(done):
        query = int(queries[place])
        if found[query] is None:
            mine = chosen[place]
            found[query] = Candidates(
                rows[place][mine], scores[place][mine], bool(exhausted[place] and not enough[place])
            )
