"""A store searched by several Ray actors, each with a group of its shards.

A searcher returns the candidates of its group with their codes' and their exact scores. The front keeps of
all candidates those that one search over the whole store would have kept, so the answer is the same bytes,
however the shards are grouped.

Decisions: docs/decisions/searching.md.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError, Unavailable
from datastore.files.layout import Layout
from datastore.generations.generation import current_hash, open_current
from datastore.opening import require_searchable
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.index.code_index import Assigned
from retriever.index.faiss_index import SearchIndex, read_trained
from retriever.index.sizing import IndexKey
from retriever.opened import OpenedStore, Opening, Wanted
from retriever.ranking.candidates import Candidates, Ranked, by_codes
from retriever.ranking.card import read_card, usable_card
from retriever.ranking.lexical import Lexical, add_frequencies
from retriever.results import Hit
from retriever.retriever import Retriever
from retriever.searcher import Counted, Part, Searcher, Ticket, groups

if TYPE_CHECKING:
    from retriever.encoding.encoder import Encoder

_log = logging.getLogger(__name__)
# How long all searchers may take to start and to load their shards, at least, in seconds.
_LOADING = 300.0


@dataclass(frozen=True, slots=True)
class Searchers:
    """How many searchers hold a store's shards, each on so many CPUs.

    One that takes longer to answer than `patience`, in seconds, is lost. With `partial`, a search goes on
    without it and names its shards in `Ranking.missing`; else it raises Unavailable. Ray starts a lost one
    again, on another node if need be, and it takes part again once it has loaded its shards.
    """

    count: int
    partial: bool = False
    patience: float = 30.0
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise RalmError(f"A cluster needs at least one searcher, not {self.count}.")

    def loading(self) -> "Searchers":
        """The same, with as much patience as it takes to load all shards."""
        return replace(self, patience=max(self.patience, _LOADING))


class ClusterRetriever(Retriever):
    """A retriever whose rows lie with actors. Retrievers of several generations share them."""

    def __init__(self, opened: OpenedStore, actors: "Actors", how: Searchers) -> None:
        """`opened` has the trained part of the index alone: what assigns a query to lists."""
        self.opened = opened
        self.actors = actors
        self.how = how
        manifest = opened.store.manifest
        self.groups = groups(manifest, len(actors.handles))
        self.starts = np.array([manifest.shards[group.start].first_row for group in self.groups], np.int64)
        # Here and not for each search: a hash of many shards takes a while.
        later = None if opened.later is None else (opened.later.generation, opened.later.hash)
        self.tickets = [Ticket(manifest.generation, opened.store.hash, group, later) for group in self.groups]

    @classmethod
    def open(cls, root: Path, searchers: Searchers, how: Opening = Opening()) -> "ClusterRetriever":
        """Start the searchers and wait until all have loaded their shards.

        Raises RalmError for a graph, and if a searcher has not loaded after five minutes.
        """
        actors = Actors(root.absolute(), searchers)
        try:
            found = cls(_opened(root, how), actors, searchers)
            # None may be missing at the start, and loading takes longer than a search.
            ClusterSession(found, replace(searchers.loading(), partial=False)).ask("ready")
        except BaseException:
            actors.close()
            raise
        return found

    @property
    def stores(self) -> Mapping[str, OpenedStore]:
        return {"": self.opened}

    def session(self) -> "ClusterSession":
        return ClusterSession(self, self.how)

    def silent(self) -> tuple[int, ...]:
        return tuple(sorted(self.shards(self.actors.silence.among(len(self.groups)))))

    def shards(self, numbers: Iterable[int]) -> list[int]:
        """The shards of these groups."""
        return [shard for number in numbers for shard in self.groups[number]]

    def refreshed(self) -> "ClusterRetriever":
        """Over the same searchers: until requests to this one have ended, they hold both generations.

        Where their shards' codes are the same, they hold them once.
        """
        store = self.opened.store
        if current_hash(store.layout) == store.hash:
            return self
        found = ClusterRetriever(
            _opened(store.layout.root, self.opened.how, self.opened), self.actors, self.how
        )
        # Loaded before it is asked about; with `partial`, whoever is lost does not keep a takedown waiting.
        ClusterSession(found, self.how if self.how.partial else self.how.loading()).ask("ready")
        return found

    def hiding(self) -> "ClusterRetriever":
        """The searchers hide the same rows when they are asked the next time."""
        opened = self.opened.hiding()
        return self if opened is self.opened else ClusterRetriever(opened, self.actors, self.how)

    def close(self) -> None:
        """Stop the searchers."""
        self.actors.close()


def _opened(root: Path, how: Opening, before: OpenedStore | None = None) -> OpenedStore:
    """The current generation, with the encoder of the one before if it is the same.

    Searchers open it when they are asked about it.
    """
    layout = Layout(root.absolute())
    manifest, hold = open_current(layout)
    require_searchable(layout, manifest)
    key = IndexKey.parse(manifest.index.key)
    if key.family == "hnsw":
        raise RalmError(f"A graph ({key.text}) is one file and cannot be searched in parts: use one process.")
    index = SearchIndex(read_trained(layout.root / manifest.index.trained.path), key)
    encoder = before.encoder if before and before.encoder.is_of(manifest.encoder) else None
    card = usable_card(layout, manifest) if before else read_card(layout, manifest)
    return OpenedStore(Datastore(layout, manifest, hold), how, encoder, index, card).loaded()


class Actors:
    """The searchers as Ray's actors, and who of them is silent."""

    def __init__(self, root: Path, how: Searchers) -> None:
        """Start them; they load what they are asked about."""
        import ray

        actor = ray.remote(num_cpus=how.cpus, max_restarts=-1)(Searcher)
        self.handles = [actor.remote(root) for _ in range(how.count)]
        self.silence = _Silence()

    def ask(
        self, method: str, calls: Mapping[int, Sequence[Any]], patience: float, groups: Sequence[range]
    ) -> tuple[dict[int, Any], list[int]]:
        """Replies of those that `calls` has arguments for, by number, and who has given none in time.

        `groups` are the shards of all, which the log names. Raises what a searcher raises of ours.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        asked = {number: getattr(self.handles[number], method).remote(*calls[number]) for number in calls}
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=patience)
        replies, lost = {}, []
        try:
            for number, pending in asked.items():
                try:
                    replies[number] = ray.get(pending, timeout=0)
                except RayTaskError as error:
                    if isinstance(error.cause, RalmError):
                        raise error.cause from None
                    raise
                except (RayError, TimeoutError):
                    lost.append(number)
        finally:
            self.silence.note(lost, replies, groups)
        return replies, lost

    def close(self) -> None:
        """Stop them."""
        import ray

        for handle in self.handles:
            ray.kill(handle)


class _Silence:
    """Which searchers gave no answer when they were last asked, in any generation; the log is told once."""

    def __init__(self) -> None:
        self._lost: set[int] = set()
        self._noting = threading.Lock()

    def note(self, lost: Iterable[int], answered: Iterable[int], groups: Sequence[range]) -> None:
        """Remember who did not answer and who did; `groups` are their shards."""
        with self._noting:
            news, back = set(lost) - self._lost, self._lost & set(answered)
            self._lost = self._lost.union(lost).difference(answered)
        said = "gives no answer; if it has died, Ray starts it again", "answers again"
        for numbers, what in zip((news, back), said, strict=True):
            for number in sorted(numbers):
                _log.warning("The searcher of shards %s %s.", ", ".join(map(str, groups[number])), what)

    def among(self, count: int) -> list[int]:
        """Those of the first `count` searchers that gave none."""
        return [number for number in self._lost if number < count]


class ClusterSession:
    """The rows of one generation, for one search: who does not answer once is not asked again in it."""

    def __init__(self, front: ClusterRetriever, how: Searchers) -> None:
        self._front = front
        self._how = how
        self._opened = front.opened
        self._missing: set[int] = set()

    @property
    def encoder(self) -> "Encoder":
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
        for number, ticket in enumerate(self._front.tickets):
            # Who has not answered once in a search is not waited for again.
            if self._missing.isdisjoint(ticket.shards) and (each is None or number in each):
                calls[number] = (ticket, *(arguments if each is None else (each[number],)))
        front = self._front
        replies, lost = front.actors.ask(method, calls, self._how.patience, front.groups)
        missing = front.shards(lost)
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
        owners = np.searchsorted(self._front.starts, rows, side="right") - 1
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

    def candidates(
        self,
        queries: Sequence[str],
        views: Sequence[View],
        k: int,
        frequencies: Sequence[Mapping[int, int]],
        total: int,
    ) -> list[Candidates]:
        counted = Counted(queries, frequencies, total)
        replies = self._session.ask("lexical", counted, views, k).values()
        parts = [[Part(one, one.scores) for one in several] for several in replies]
        return [joined([part[n] for part in parts], len(queries), k, False) for n in range(len(views))]


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
