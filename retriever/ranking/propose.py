"""Candidates of each query in each view, from one search of the index's codes.

A view's candidates are its `want` best rows by their codes' scores, and those that tie with the last
of them: which rows they are follows from the view alone, not from how deep the index was searched, nor
from whether the view was applied before the search or after it.

Decisions: docs/decisions/searching.md.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from datastore.store import Datastore
from datastore.view import View
from retriever.index.code_index import Assigned, CodeIndex, ScoredRows
from retriever.ranking.candidates import NO_SCORES, Candidates

# How much deeper each further search goes when a view leaves too few rows.
_DEEPENING = 4
# A view's rows do not come evenly: so much deeper than on average, and few queries are left short.
_MARGIN = 1.5
# Searched a little deeper than asked, so that ties with the last candidate are seen at once.
_SPARE = 16
# Deeper than this, or than this share of all rows, a view is applied inside the search instead: a
# selector costs a look at every row once, a deep search a long heap for every query.
_SELECTED_BEYOND = 4096
_SELECTED_BEYOND_SHARE = 1 / 8
# Hits held at once, 12 bytes each: a deep search of many queries goes block by block.
_BLOCK_HITS = 1 << 22
_SELECTORS = 16


class _InView:
    """What has been found so far in one view: of some queries at a time, the `want` best and their ties."""

    def __init__(self, view: View, want: int, queries: int) -> None:
        self.view = view
        self.want = want
        self.missing = np.ones(queries, bool)
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []

    def complete(
        self, queries: NDArray[np.int64], found: ScoredRows, kept: NDArray[np.bool_], all_seen: bool
    ) -> None:
        """Take the candidates of those queries [n] that a search [n, depth] was deep enough for.

        It was if `want` rows that the view has `kept` score above the last one seen (an equal one may
        follow), or if the lists probed hold no more.
        """
        (scores, rows), want = found, self.want
        exhausted = (rows[:, -1] < 0) | all_seen
        if kept[:, :want].all() and rows.shape[1] > want:
            bound = scores[:, want - 1]  # The common case: nothing is left out.
            enough = np.ones(len(queries), bool)
        else:
            ordinal = np.cumsum(kept, axis=1)
            enough = ordinal[:, -1] >= want
            # The place of the last wanted row: the first whose ordinal is `want`.
            last = np.argmax(ordinal >= want, axis=1)
            bound = np.where(enough, scores[np.arange(len(queries)), last], -np.inf)
        done = exhausted | (enough & (bound > scores[:, -1]))
        chosen = kept & (scores >= bound[:, None])
        if done.all():
            self._add(queries, found, chosen)
        elif done.any():
            self._add(queries[done], (scores[done], rows[done]), chosen[done])

    def _add(self, queries: NDArray[np.int64], found: ScoredRows, chosen: NDArray[np.bool_]) -> None:
        """Add the chosen of the rows found for these queries, unless they have theirs."""
        scores, rows = found
        wanted = self.missing[queries]
        places, _ = np.nonzero(chosen[wanted])
        mine = chosen & wanted[:, None]
        self._parts.append((queries[wanted][places], rows[mine], scores[mine]))
        self.missing[queries] = False

    def candidates(self) -> Candidates:
        """All that was found, query after query, rows ascending."""
        owners, rows, scores = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        # One key: sorting by two takes four times as long.
        order = np.argsort(owners * (1 + rows.max(initial=0)) + rows)
        counts = np.bincount(owners, minlength=len(self.missing))
        return Candidates.of(counts, rows[order], scores[order])


class Proposer:
    """Searches the codes of one store. Safe between threads."""

    def __init__(self, store: Datastore, index: CodeIndex) -> None:
        self._store = store
        self._index = index
        self._selectors: OrderedDict[View, tuple[object, NDArray[np.uint8]]] = OrderedDict()
        self._selecting = Lock()

    def propose(
        self, queries: Assigned, views: Sequence[View], want: int, depth: int = 0, scored: bool = True
    ) -> list[Candidates]:
        """Candidates of each query in each view; `scored`: with the scores of their codes.

        The index is searched once, to `depth` (0: chosen from the views). Only queries that a view leaves
        with fewer than `want` rows are searched again, deeper, and at last with the view as a selector.
        """
        if len(views) == 1 and self._store.keeps_all(views[0]):
            plain = self._plain(queries, want, scored)
            if plain is not None:
                return [plain]
        total = self._index.rows
        found = [_InView(view, want, len(queries)) for view in views]
        deepest = max(
            int(_MARGIN * want) + _SPARE, min(_SELECTED_BEYOND, int(total * _SELECTED_BEYOND_SHARE)), depth
        )
        shares = [self._share(view) for view in views]
        shared = [n for n, share in enumerate(shares) if share == 1 or _MARGIN * want / share <= deepest]
        depth = depth or max((int(_MARGIN * want / shares[n]) for n in shared), default=0)
        depth = min(max(depth, want + _SPARE), deepest)
        while shared and depth <= deepest:
            together = [found[n] for n in shared]
            pending = np.flatnonzero(np.any([one.missing for one in together], axis=0))
            if not len(pending):
                break
            self._search(queries, pending, together, depth)
            depth *= _DEEPENING
        for one in found:
            self._select(queries, one)
        return [one.candidates() for one in found]

    def _plain(self, queries: Assigned, want: int, scored: bool) -> Candidates | None:
        """The common case, quick: nothing is left out, and the lists hold as many as are wanted.

        After a search every numpy call finds cold caches: there are as few of them as can be.
        """
        scores, rows = self._index.search(queries, want + _SPARE)
        if rows.shape[1] <= want:
            return None
        # Scores descend: those that tie with the last one wanted stand right behind it.
        chosen = scores >= scores[:, want - 1 : want]
        if True in chosen[:, -1].tolist():
            return None  # They may go on beyond what was seen; or there are too few, all -1.
        mine = np.where(chosen, rows, -1)
        if not scored:
            mine.sort(axis=1)
            return Candidates(mine, NO_SCORES)
        order = np.argsort(mine, axis=1)
        return Candidates(np.take_along_axis(mine, order, axis=1), np.take_along_axis(scores, order, axis=1))

    def _share(self, view: View) -> float:
        """About which share of the rows a view keeps; conditions on metadata are not foreseen."""
        share, rows = view.fraction, max(1, self._store.rows)
        if view.domains:
            share *= sum(self._store.manifest.domains.get(d, 0) for d in view.domains) / rows
        return max(share, 1 / rows)

    def _search(
        self, queries: Assigned, pending: NDArray[np.int64], found: Sequence[_InView], depth: int
    ) -> None:
        """Search once, so deep, for what is missing in several views."""
        views = [one.view for one in found]
        everything = all(map(self._store.keeps_all, views))
        block = max(1, _BLOCK_HITS // depth)
        for at in range(0, len(pending), block):
            mine = pending[at : at + block]
            scores, rows = self._index.search(queries[mine], depth)
            exists = rows >= 0
            if everything:
                kept = np.broadcast_to(exists, (len(views), *rows.shape))
            else:
                kept = np.zeros((len(views), *rows.shape), bool)
                kept[:, exists] = self._store.keep(views, rows[exists])
            for one, its in zip(found, kept, strict=True):
                # In a large view most queries have theirs far up: deeper, only the others are looked at.
                enough = min(rows.shape[1], int(_MARGIN * one.want / self._share(one.view)) + _SPARE)
                for columns in dict.fromkeys((enough, rows.shape[1])):
                    left = np.flatnonzero(one.missing[mine])
                    part = left[:, None], np.arange(columns)
                    all_seen = columns >= self._index.rows
                    one.complete(mine[left], (scores[part], rows[part]), its[part], all_seen)

    def _select(self, queries: Assigned, found: _InView) -> None:
        """Answer what is missing with the view as a selector inside the search: no deeper than asked."""
        depth = found.want + _SPARE
        while len(missing := np.flatnonzero(found.missing)):
            block = max(1, _BLOCK_HITS // depth)
            for at in range(0, len(missing), block):
                mine = missing[at : at + block]
                scores, rows = self._index.search(queries[mine], depth, self._selector(found.view))
                found.complete(mine, (scores, rows), rows >= 0, rows.shape[1] >= self._index.rows)
            depth *= _DEEPENING

    def _selector(self, view: View) -> object:
        with self._selecting:
            if view not in self._selectors:
                bits = np.packbits(self._store.mask(view), bitorder="little")
                # FAISS keeps a pointer to the bits: they stay beside it.
                self._selectors[view] = (self._index.selector(bits), bits)
            self._selectors.move_to_end(view)
            while len(self._selectors) > _SELECTORS:
                self._selectors.popitem(last=False)
            return self._selectors[view][0]
