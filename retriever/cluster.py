"""A store searched by several Ray actors, each with a group of its shards: what `Retriever` gives, from many.

A searcher returns the candidates of its group with their codes' and their exact scores. The front keeps of
all candidates those that one search over the whole store would have kept, so the answer is the same bytes,
however the shards are grouped.
"""

import copy
import logging
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError, Unavailable
from datastore.files.layout import Layout
from datastore.generations.generation import current_hash, open_current
from datastore.generations.manifest import Manifest
from datastore.opening import require_searchable
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.encoding.checkpoint import moved
from retriever.encoding.encoder import Encoder
from retriever.index.code_index import Assigned
from retriever.index.faiss_index import SearchIndex, read_trained
from retriever.index.sizing import IndexKey
from retriever.local import Retriever
from retriever.ranking.candidates import Candidates, Ranked, by_codes
from retriever.ranking.card import read_card, usable_card
from retriever.ranking.lexical import Lexical, add_frequencies
from retriever.ranking.results import Ranking, Seconds, Setting
from retriever.searcher import Part, Searcher, Ticket, groups

_log = logging.getLogger(__name__)
# How long a searcher may take before its shards count as missing, in seconds.
PATIENCE = 30.0
# How long all searchers may take to start and to load their shards, at least, in seconds.
_LOADING = 300.0


class ClusterRetriever(Retriever):
    """A `Retriever` whose shards lie with actors.

    With `partial`, a search goes on without a lost searcher and names its shards in `Ranking.missing`; else
    it raises RalmError. Ray starts a lost one again, on another node if need be, and it takes part again
    once it has loaded its shards.
    """

    def __init__(
        self,
        root: Path,
        searchers: int,
        partial: bool = False,
        patience: float = PATIENCE,
        cpus: float = 1.0,
        encoder: str | None = None,
        query_encoder: str | None = None,
    ) -> None:
        """Start the searchers, each on so many CPUs, and wait until all have loaded their shards.

        `encoder` and `query_encoder` say where the store's own lie, as `Retriever.open` takes them.
        Raises RalmError if one has not after five minutes.
        """
        import ray

        if searchers < 1:
            raise RalmError(f"A cluster needs at least one searcher, not {searchers}.")
        actor = ray.remote(num_cpus=cpus, max_restarts=-1)(Searcher)
        self.searchers = [actor.remote(root.absolute()) for _ in range(searchers)]
        self.patience = patience
        self._lost = threading.local()
        self._silence = _Silence()
        self._found_at = (encoder, query_encoder)
        try:
            self._take_up(root, None)
            # None may be missing at the start, and loading takes longer than a search.
            self.partial, self.patience = False, max(patience, _LOADING)
            self._ask("ready")
            self.partial, self.patience = partial, patience
        except BaseException:
            self.close()
            raise

    def _take_up(self, root: Path, before: Encoder | None) -> None:
        """Open the current generation, with the encoder of the one before if it is the same; searchers do
        when they are asked about it."""
        layout = Layout(root.absolute())
        manifest, hold = open_current(layout)
        require_searchable(layout, manifest)
        key = IndexKey.parse(manifest.index.key)
        if key.family == "hnsw":
            raise RalmError(
                f"A graph ({key.text}) is one file and cannot be searched in parts: use one process."
            )
        trained = read_trained(layout.root / manifest.index.trained.path)
        same = before if before and before.is_of(manifest.encoder) else None
        super().__init__(
            Datastore(layout, manifest, hold),
            same or Encoder.open(moved(manifest.encoder, *self._found_at)),
            SearchIndex(trained, key),
            usable_card(layout, manifest) if before else read_card(layout, manifest),
            found_at=self._found_at,
        )
        self._hash = manifest.hash
        self._later: tuple[int, str] | None = None  # A generation that hides more, and its hash.
        self.groups = groups(manifest, len(self.searchers))
        self._starts = np.array([manifest.shards[group.start].first_row for group in self.groups], np.int64)
        if self.store.has_words:
            self.lexical = _ClusterLexical(weakref.proxy(self))  # No cycle: it is to go with its store.

    def refreshed(self) -> "ClusterRetriever":
        """A retriever of the current generation over the same searchers: this one, if it is of that already.

        Until requests to this one have ended, searchers hold both generations; where their shards' codes are
        the same, they hold them once.
        """
        if current_hash(self.store.layout) == self.store.hash:
            return self
        found = copy.copy(self)
        found._lost = threading.local()
        found._take_up(self.store.layout.root, self.encoder)
        # Loaded before it is asked about; with `partial`, whoever is lost does not keep a takedown waiting.
        found.patience = self.patience if self.partial else max(self.patience, _LOADING)
        found._ask("ready")
        found.patience = self.patience
        return found

    def _over(self, store: Datastore, later: Manifest) -> "ClusterRetriever":
        """As of one store: the searchers hide the same rows when they are asked the next time."""
        found = copy.copy(self)
        found._lost = threading.local()
        found.store, found._later = store, (later.generation, later.hash)
        if found.lexical is not None:
            found.lexical = _ClusterLexical(weakref.proxy(found))
        return found

    def close(self) -> None:
        """Stop the searchers."""
        import ray

        for searcher in self.searchers:
            ray.kill(searcher)

    def _ask(
        self, method: str, *arguments: Any, each: Mapping[int, Sequence[int]] | None = None
    ) -> dict[int, Any]:
        """Replies by group; groups without one are missing (`partial`) or an error.

        All groups are asked the same, or those in `each` about rows of their own.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        calls = {}
        for number, group in enumerate(self.groups):
            # Who has not answered once in a search is not waited for again.
            if not self._missing.isdisjoint(group):
                continue
            if each is None or number in each:
                ticket = Ticket(self.store.manifest.generation, self._hash, group, self._later)
                own = arguments if each is None else (each[number],)
                calls[number] = getattr(self.searchers[number], method).remote(ticket, *own)
        ray.wait(list(calls.values()), num_returns=len(calls), timeout=self.patience)
        replies, lost = {}, []
        try:
            for number, pending in calls.items():
                try:
                    replies[number] = ray.get(pending, timeout=0)
                except RayTaskError as error:
                    if isinstance(error.cause, RalmError):
                        raise error.cause from None
                    raise
                except (RayError, TimeoutError):
                    lost.append(number)
        finally:
            self._silence.note(lost, replies, self.groups)
        missing = self._shards(lost)
        self._lost.shards = self._missing | set(missing)
        if lost and not self.partial:
            listed = ", ".join(map(str, missing))
            raise Unavailable(
                f"The searchers of shards {listed} do not answer and are being started again: try again, or "
                "let answers do without them (`ralm serve --partial`)."
            )
        return replies

    def _shards(self, numbers: Iterable[int]) -> list[int]:
        return [shard for number in numbers for shard in self.groups[number]]

    def silent(self) -> tuple[int, ...]:
        """Shards that gave no answer when they were last asked, by whomever."""
        return tuple(sorted(self._shards(self._silence.among(len(self.groups)))))

    @property
    def _missing(self) -> set[int]:
        """Shards without an answer in the search that this thread is in."""
        found: set[int] = getattr(self._lost, "shards", set())
        return found

    def begin(self) -> None:
        """Forget which shards were missing in this thread's last search."""
        self._lost.shards = set()

    def missing(self) -> tuple[int, ...]:
        """Shards without an answer in the search that this thread is in, in order."""
        return tuple(sorted(self._missing))

    def search_many(self, *args: Any, **options: Any) -> list[list[Ranking]]:
        """As `Retriever.search_many`, with the missing shards named in every ranking."""
        self.begin()
        before, found = None, []
        while before != self.missing():
            # A searcher that is lost half-way has left candidates that cannot be read: once more, without it.
            before = self.missing()
            found = super().search_many(*args, **options)
        return [[replace(ranking, missing=self.missing()) for ranking in several] for several in found]

    def _ranked(
        self,
        vectors: NDArray[np.float32],
        assigned: Assigned,
        views: Sequence[View],
        k: int,
        setting: Setting,
        depth: int,
        seconds: Seconds,
    ) -> list[Ranked]:
        """The k best rows of some queries in each view. `depth` is each searcher's own."""
        for view in views:
            self.store.check(view)
        want = max(k, setting.depth)
        with seconds.of("propose"):
            replies = self._ask("candidates", vectors, assigned, views, want)
        with seconds.of("rescore"):
            rescored = bool(setting.depth) and not self.index.key.exact
            return [
                by_codes(joined([parts[n] for parts in replies.values()], len(vectors), want, rescored), k)
                for n in range(len(views))
            ]

    def _passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        passages: dict[int, Passage] = {}
        wanted = self._by_group(rows)
        for number, found in self._ask("passages", each=wanted).items():
            passages |= dict(zip(wanted[number], found, strict=True))
        return passages

    def _by_group(self, rows: Sequence[int]) -> dict[int, list[int]]:
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        found: dict[int, list[int]] = {}
        for owner, row in zip(owners.tolist(), rows, strict=True):
            found.setdefault(owner, []).append(row)
        return found


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


class _ClusterLexical(Lexical):
    """BM25 over the searchers: frequencies are summed first, so scores compare."""

    def __init__(self, front: ClusterRetriever) -> None:
        self._front = front

    @property
    def passages(self) -> int:
        return self._front.store.passages

    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        return add_frequencies(self._front._ask("frequencies", queries).values(), len(queries))

    def candidates(
        self,
        queries: Sequence[str],
        views: Sequence[View],
        k: int,
        frequencies: Sequence[Mapping[int, int]],
        total: int,
    ) -> list[Candidates]:
        replies = self._front._ask("lexical", queries, views, k, frequencies, total).values()
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
