"""One search of a cluster: what its searchers are asked, and what is kept of their candidates.

Decisions: docs/decisions/searching.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from base.errors import Unavailable
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.cluster.actors import Holders, Searchers
from retriever.cluster.searcher import Part, Ticket, groups
from retriever.index.code_index import Assigned
from retriever.opened import OpenedStore, Wanted
from retriever.ranking.candidates import Candidates, Ranked, by_codes
from retriever.ranking.lexical import Counted, Lexical, add_frequencies
from retriever.results import Hit

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder


class Spread:
    """One generation of a store among its searchers: which group of shards each holds."""

    def __init__(self, opened: OpenedStore, actors: Holders) -> None:
        self.opened = opened
        self.actors = actors
        manifest = opened.store.manifest
        self.groups = groups(manifest, len(actors.handles))
        self.starts = np.array([manifest.shards[group.start].first_row for group in self.groups], np.int64)
        # Here and not for each search: a hash of many shards takes a while.
        later = None if opened.later is None else (opened.later.generation, opened.later.hash)
        self.tickets = [Ticket(manifest.generation, opened.store.hash, group, later) for group in self.groups]

    def shards(self, numbers: Iterable[int]) -> list[int]:
        """The shards of these groups."""
        return [shard for number in numbers for shard in self.groups[number]]


class ClusterSession:
    """The rows of one generation, for one search: who does not answer once is not asked again in it."""

    def __init__(self, spread: Spread, how: Searchers) -> None:
        self._spread = spread
        self._how = how
        self._opened = spread.opened
        self._missing: set[int] = set()

    @property
    def encoder(self) -> "TextEncoder":
        return self._opened.encoder

    @property
    def lexical(self) -> Lexical | None:
        return _ClusterLexical(self, self._opened.store) if self._opened.store.has_words else None

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(sorted(self._missing))

    def ask(
        self, method: str, *arguments: Any, each: Mapping[int, Sequence[int]] | None = None
    ) -> dict[int, Any]:
        """Replies by group; groups without one are missing (`partial`) or an error.

        All groups are asked the same, or those in `each` about rows of their own.
        """
        calls: dict[int, Sequence[Any]] = {}
        for number, ticket in enumerate(self._spread.tickets):
            # Who has not answered once in a search is not waited for again.
            if self._missing.isdisjoint(ticket.shards) and (each is None or number in each):
                calls[number] = (ticket, *(arguments if each is None else (each[number],)))
        replies, lost = self._spread.actors.ask(method, calls, self._how.patience, self._spread.groups)
        missing = self._spread.shards(lost)
        self._missing.update(missing)
        if lost and not self._how.partial:
            listed = ", ".join(map(str, missing))
            raise Unavailable(
                f"The searchers of shards {listed} do not answer and are being started again: try again, or "
                "let answers do without them (`ralm serve --partial`)."
            )
        return replies

    def rank(self, vectors: NDArray[np.float32], wanted: Wanted) -> list[Ranked]:
        """As `Session.rank`; how deep its first search goes is each searcher's own choice."""

        def ranked(some: NDArray[np.float32], assigned: Assigned) -> list[Ranked]:
            return self._ranked(some, assigned, wanted)

        return self._opened.in_blocks(vectors, wanted, ranked)

    def _ranked(self, vectors: NDArray[np.float32], assigned: Assigned, wanted: Wanted) -> list[Ranked]:
        for view in wanted.views:
            self._opened.store.check(view)
        most, rescored = max(wanted.k, wanted.setting.depth), self._opened.rescores(wanted.setting)
        with wanted.seconds.of("propose"):
            replies = self.ask("candidates", vectors, assigned, wanted.views, most).values()
        with wanted.seconds.of("rescore"):
            parts = ([of_views[n] for of_views in replies] for n in range(len(wanted.views)))
            return [by_codes(joined(each, len(vectors), most, rescored), wanted.k) for each in parts]

    def passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        passages: dict[int, Passage] = {}
        wanted = self._by_group(rows)
        for number, found in self.ask("passages", each=wanted).items():
            passages |= dict(zip(wanted[number], found, strict=True))
        return passages

    def _by_group(self, rows: Sequence[int]) -> dict[int, list[int]]:
        owners = np.searchsorted(self._spread.starts, rows, side="right") - 1
        found: dict[int, list[int]] = {}
        for owner, row in zip(owners.tolist(), rows, strict=True):
            found.setdefault(owner, []).append(row)
        return found

    def hit(self, row: int, score: float, passage: Passage) -> Hit:
        return Hit(row, score, passage, self._opened.store.manifest.generation)

    def vectors(self, hits: Sequence[Hit]) -> NDArray[np.float16]:
        return self._opened.store.vectors([hit.row for hit in hits])


class _ClusterLexical(Lexical):
    """BM25 over the searchers: frequencies are summed first, so scores compare."""

    def __init__(self, session: ClusterSession, store: Datastore) -> None:
        self._session = session
        self._store = store

    @property
    def passages(self) -> int:
        return self._store.passages

    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        return add_frequencies(self._session.ask("frequencies", queries).values(), len(queries))

    def candidates(self, counted: Counted, views: Sequence[View], k: int) -> list[Candidates]:
        replies = self._session.ask("lexical", counted, views, k).values()
        parts = [[Part(one, one.scores) for one in several] for several in replies]
        return [
            joined([part[n] for part in parts], len(counted.queries), k, False) for n in range(len(views))
        ]


def joined(parts: Sequence[Part], queries: int, want: int, rescored: bool) -> Candidates:
    """Of all searchers' candidates, those that one search would have had: `want` of each query, and ties.

    Searchers come in row order. `rescored`: with exact scores in place of those of the codes.
    """
    no_rows, no_scores = np.empty((queries, 0), np.int64), np.empty((queries, 0), np.float32)
    rows = np.concatenate([no_rows, *(part.found.rows for part in parts)], axis=1)
    codes = np.concatenate([no_scores, *(part.found.scores for part in parts)], axis=1)
    exact = np.concatenate([no_scores, *(part.exact for part in parts)], axis=1)
    codes = np.where(rows < 0, -np.inf, codes)
    width = rows.shape[1]
    if width > want:
        # The want-th largest of each query's, which is the (width - want)-th from the smallest.
        bound = np.partition(codes, width - want, axis=1)[:, width - want, None]
        rows = np.where(codes >= bound, rows, -1)
    return Candidates(rows, exact if rescored else codes)
