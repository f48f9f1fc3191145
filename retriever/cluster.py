"""A store searched by several Ray actors, each with a group of its shards: what `Retriever` gives, from many.

A searcher returns the candidates of its group with their codes' and their exact scores. The front keeps of
all candidates those that one search over the whole store would have kept, so the answer is the same bytes,
however the shards are grouped.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.layout import Layout
from datastore.manifest import Manifest, current
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.card import read_card
from retriever.encoder import Encoder
from retriever.index import Assigned, SearchIndex, Setting, read_trained
from retriever.lexical import LexicalIndex
from retriever.propose import Candidates, Proposer
from retriever.rescore import Ranked, by_codes, scores
from retriever.search import Ranking, Retriever, Seconds, require_finite
from retriever.sizing import IndexKey

# How long a searcher may take before its shards count as missing, in seconds.
PATIENCE = 30.0


def groups(manifest: Manifest, count: int) -> list[range]:
    """Shards in `count` runs of about as many rows each; fewer runs if there are fewer shards."""
    bounds, total = [0], manifest.rows
    for number, shard in enumerate(manifest.shards):
        left = len(manifest.shards) - number
        wanted = total * len(bounds) / count
        if (
            len(bounds) < count
            and number > bounds[-1]
            and (shard.first_row >= wanted or left <= count - len(bounds))
        ):
            bounds.append(number)
    return [range(a, b) for a, b in zip(bounds, [*bounds[1:], len(manifest.shards)], strict=True)]


def part_of(manifest: Manifest, shards: range) -> Manifest:
    """The manifest of some shards alone, their rows numbered from 0."""
    first = manifest.shards[shards.start].first_row
    mine = (manifest.shards[n] for n in shards)
    rebased = tuple(shard.model_copy(update={"first_row": shard.first_row - first}) for shard in mine)
    return manifest.model_copy(update={"shards": rebased})


@dataclass(frozen=True, slots=True)
class Part:
    """One searcher's candidates in one view: as `Candidates`, with exact scores beside those of the codes."""

    found: Candidates
    exact: NDArray[np.float32]


class Searcher:
    """What runs in an actor: the index, vectors and passages of a group of shards."""

    def __init__(self, root: Path, generation: str, shards: range) -> None:
        layout = Layout(root)
        manifest = current(layout)
        if manifest.hash != generation:
            raise RalmError(f"{root} has another generation by now: open the cluster again.")
        self._first = manifest.shards[shards.start].first_row
        self._store = Datastore(layout, part_of(manifest, shards))
        self._index = SearchIndex.load(root, self._store.manifest)
        self._lexical = LexicalIndex.load(root, self._store)
        self._proposer = Proposer(self._store, self._index)

    def ready(self) -> int:
        """Number of rows; answered once everything is loaded."""
        return self._index.rows

    def candidates(
        self, vectors: NDArray[np.float32], assigned: Assigned, views: Sequence[View], want: int
    ) -> list[Part]:
        """Candidates of each view among this group's rows."""
        parts = []
        for found in self._proposer.propose(assigned, views, want):
            exact = found.scores
            if not self._index.key.exact:
                exact = scores(vectors, found.counts, self._store.vectors(found.rows))
            parts.append(Part(replace(found, rows=found.rows + self._first), exact))
        return parts

    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        """In how many of this group's passages each word of each query stands, by the word's hash."""
        assert self._lexical is not None  # The front asks only where there is one.
        return [self._lexical.frequencies(query) for query in queries]

    def lexical(
        self,
        frequencies: Sequence[dict[int, int]],
        total: int,
        queries: Sequence[str],
        views: Sequence[View],
        k: int,
    ) -> list[Candidates]:
        """BM25 candidates of each view, by the whole store's frequencies and number of passages."""
        assert self._lexical is not None
        found = self._lexical.candidates(queries, views, k, frequencies, total)
        return [replace(one, rows=one.rows + self._first) for one in found]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """The passages of these rows of the whole store."""
        return [self._store.passage(row - self._first) for row in rows]


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
    ) -> None:
        """Start the searchers, each on so many CPUs, and wait until all have loaded their shards.

        Raises RalmError if one has not after `patience` seconds.
        """
        import ray

        layout = Layout(root.absolute())
        manifest = current(layout)
        key = IndexKey.parse(manifest.index.key)
        if key.family == "hnsw":
            raise RalmError(
                f"A graph ({key.text}) is one file and cannot be searched in parts: use one process."
            )
        trained = read_trained(layout.root / manifest.index.trained.path)
        super().__init__(
            Datastore(layout, manifest),
            Encoder.open(manifest.encoder),
            SearchIndex(trained, key),
            read_card(layout, manifest),
        )
        self.groups = groups(manifest, searchers)
        self.partial, self.patience = False, patience
        self._lost = threading.local()
        actor = ray.remote(num_cpus=cpus, max_restarts=-1)(Searcher)
        self.searchers = [actor.remote(layout.root, manifest.hash, group) for group in self.groups]
        self._starts = np.array([manifest.shards[group.start].first_row for group in self.groups])
        self._ask(lambda searcher: searcher.ready.remote())  # None may be missing at the start.
        self.partial = partial
        if all(shard.lexical is not None for shard in manifest.shards):
            self.lexical = _ClusterLexical(self)  # type: ignore[assignment]

    def close(self) -> None:
        """Stop the searchers."""
        import ray

        for searcher in self.searchers:
            ray.kill(searcher)

    def _ask(self, call: Callable[[Any], Any], only: Sequence[int] | None = None) -> dict[int, Any]:
        """Replies by group; groups without one are missing (`partial`) or an error."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        numbers = list(range(len(self.searchers)) if only is None else only)
        calls = {number: call(self.searchers[number]) for number in numbers}
        ray.wait(list(calls.values()), num_returns=len(calls), timeout=self.patience)
        replies, lost = {}, []
        for number, pending in calls.items():
            try:
                replies[number] = ray.get(pending, timeout=0)
            except RayTaskError as error:
                if isinstance(error.cause, RalmError):
                    raise error.cause from None
                raise
            except (RayError, TimeoutError):
                lost.append(number)
        missing = [shard for number in lost for shard in self.groups[number]]
        self._lost.shards = self._missing | set(missing)
        if lost and not self.partial:
            listed = ", ".join(map(str, missing))
            raise RalmError(
                f"The searchers of shards {listed} do not answer and are being started again: try again, or "
                "allow partial answers."
            )
        return replies

    @property
    def _missing(self) -> set[int]:
        """Shards without an answer in the search that this thread is in."""
        found: set[int] = getattr(self._lost, "shards", set())
        return found

    def search_many(self, *args: Any, **options: Any) -> list[list[Ranking]]:
        """As `Retriever.search_many`, with the missing shards named in every ranking."""
        self._lost.shards = set()
        found = super().search_many(*args, **options)
        missing = tuple(sorted(self._missing))
        return [[replace(ranking, missing=missing) for ranking in several] for several in found]

    def rank(
        self,
        vectors: NDArray[np.float32],
        views: Sequence[View],
        k: int,
        setting: Setting,
        depth: int = 0,
        seconds: Seconds | None = None,
    ) -> list[Ranked]:
        """The k best rows of each query vector [n, d] in each view. `depth` is each searcher's own."""
        require_finite(vectors)
        for view in views:
            self.store.check(view)
        want = max(k, setting.depth)
        seconds = seconds or Seconds()
        with seconds.of("propose"):
            assigned = self.index.assign(vectors, setting.nprobe)
            replies = self._ask(lambda searcher: searcher.candidates.remote(vectors, assigned, views, want))
        with seconds.of("rescore"):
            rescored = bool(setting.depth) and not self.index.key.exact
            return [
                by_codes(_whole([parts[n] for parts in replies.values()], len(vectors), want, rescored), k)
                for n in range(len(views))
            ]

    def _rankings(self, ranked: Ranked, passages: dict[int, Passage]) -> list[Ranking]:
        rows = np.unique(ranked.rows[ranked.rows >= 0])
        rows = np.array([row for row in rows.tolist() if row not in passages], np.int64)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        wanted = {int(n): rows[owners == n].tolist() for n in np.unique(owners)}
        order = iter(list(wanted.values()))
        replies = self._ask(lambda searcher: searcher.passages.remote(next(order)), list(wanted))
        for number, found in replies.items():
            passages |= dict(zip(wanted[number], found, strict=True))
        lost = ~np.isin(ranked.rows, [-1, *passages])
        return super()._rankings(_without(ranked, lost) if lost.any() else ranked, passages)


class _ClusterLexical:
    """BM25 over the searchers: frequencies are summed first, so scores compare."""

    def __init__(self, front: ClusterRetriever) -> None:
        self._front = front

    def rank(self, queries: Sequence[str], views: Sequence[View], k: int) -> list[Ranked]:
        counted = self._front._ask(lambda searcher: searcher.frequencies.remote(queries))
        total: list[dict[int, int]] = [{} for _ in queries]
        for several in counted.values():
            for query, mine in enumerate(several):
                for token, count in mine.items():
                    total[query][token] = total[query].get(token, 0) + count
        rows = self._front.store.rows
        replies = self._front._ask(lambda searcher: searcher.lexical.remote(total, rows, queries, views, k))
        parts = [[Part(one, one.scores) for one in several] for several in replies.values()]
        return [
            by_codes(_whole([part[n] for part in parts], len(queries), k, False), k)
            for n in range(len(views))
        ]


def _whole(parts: Sequence[Part], queries: int, want: int, rescored: bool) -> Candidates:
    """Of all searchers' candidates, those that one search would have had: `want` of each query, and ties."""
    if not parts:
        return Candidates(np.empty(0, np.int64), np.empty(0, np.float32), np.zeros(queries, np.int64))
    owners = np.concatenate([np.repeat(np.arange(queries), part.found.counts) for part in parts])
    rows = np.concatenate([part.found.rows for part in parts])
    codes = np.concatenate([part.found.scores for part in parts])
    exact = np.concatenate([part.exact for part in parts])
    order = np.lexsort((-codes, owners))
    owners, rows, codes, exact = owners[order], rows[order], codes[order], exact[order]
    counts = np.bincount(owners, minlength=queries)
    starts = np.cumsum(counts) - counts
    bound = np.full(queries, -np.inf, np.float32)
    enough = counts >= want
    bound[enough] = codes[starts[enough] + want - 1]
    kept = codes >= bound[owners]
    values = exact if rescored else codes
    return Candidates(rows[kept], values[kept], np.bincount(owners[kept], minlength=queries))


def _without(ranked: Ranked, lost: NDArray[np.bool_]) -> Ranked:
    """A ranking without the rows whose passages went missing while it was read."""
    rows, values = np.full_like(ranked.rows, -1), np.full_like(ranked.scores, -np.inf)
    for query in range(len(rows)):
        left = ~lost[query] & (ranked.rows[query] >= 0)
        rows[query, : left.sum()], values[query, : left.sum()] = (
            ranked.rows[query][left],
            ranked.scores[query][left],
        )
    return Ranked(rows, values)
