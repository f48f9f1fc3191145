"""What runs in an actor of a cluster: a group of a store's shards, opened by a ticket and searched alone.

Knows nothing of Ray: the same object answers in this process. `session.py` joins what several of them find.

Decisions: docs/decisions/searching.md.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.files.hold import Hold
from datastore.files.layout import Layout
from datastore.generations.generation import at_generation, open_current
from datastore.generations.manifest import Manifest
from datastore.hiding import by_lists, without_later
from datastore.integrity import require_whole
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.index.code_index import Assigned
from retriever.index.faiss_index import SearchIndex
from retriever.index.loading import in_memory
from retriever.ranking.candidates import Candidates
from retriever.ranking.lexical import Counted, LexicalIndex
from retriever.ranking.propose import Proposer
from retriever.ranking.rescore import scores

# Generations that a searcher holds at once.
_GENERATIONS = 2


def groups(manifest: Manifest, count: int) -> list[range]:
    """Shards in `count` runs of about as many rows each; fewer runs if there are fewer shards."""
    if not manifest.shards:
        return []
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


class _Group:
    """A group of shards of one generation: its store, index and words."""

    def __init__(
        self,
        layout: Layout,
        manifest: Manifest,
        shards: range,
        index: SearchIndex | None,
        later: Manifest | None = None,
    ) -> None:
        """`index`, if there is one already, is of just these shards. `later` hides more."""
        self.first = manifest.shards[shards.start].first_row
        part = part_of(manifest, shards)
        require_whole(layout.root, part.deciding)  # This machine's files, not the front's.
        # Held as a whole: what is read of it may be swept away once another generation is current.
        self.store = Datastore(layout, part, Hold(layout.manifest(manifest.generation)))
        if later is not None:
            self.store = without_later(self.store, later)
        self.index = index or in_memory(layout.root, self.store.manifest)
        self.lexical = LexicalIndex.load(layout.root, self.store)
        self.proposer = Proposer(self.store, self.index)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a searcher is asked about: a generation of the store, its hash, and the group of its shards.

    `later` is a generation, and its hash, that has taken more down.
    """

    generation: int
    manifest: str
    shards: range
    later: tuple[int, str] | None = None


class Searcher:
    """What runs in an actor: the index, vectors and passages of a group of shards.

    It opens what it is asked about, after a restart too, and keeps the last two: requests that began with one
    generation end with it. Safe between threads: while one opens a generation, others search.
    """

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)
        self._groups: OrderedDict[Ticket, _Group] = OrderedDict()
        self._opening, self._keeping = Lock(), Lock()

    def warm(self, number: int, count: int) -> None:
        """Open a group, one of `count`, of the generation that is current: it will be asked about."""
        manifest, _ = open_current(self._layout)
        if number < len(mine := groups(manifest, count)):
            self.ready(Ticket(manifest.generation, manifest.hash, mine[number]))

    def ready(self, ticket: Ticket) -> int:
        """Number of rows; answered once everything is loaded."""
        return self._open(ticket).index.rows

    def _open(self, ticket: Ticket) -> _Group:
        if (found := self._kept(ticket)) is not None:
            return found
        with self._opening:
            if (found := self._kept(ticket)) is not None:
                return found
            group = self._opened(ticket)
            with self._keeping:
                self._groups[ticket] = group
                while len(self._groups) > _GENERATIONS:
                    self._groups.popitem(last=False)
            return group

    def _kept(self, ticket: Ticket) -> _Group | None:
        with self._keeping:
            if ticket in self._groups:
                self._groups.move_to_end(ticket)
            return self._groups.get(ticket)

    def _opened(self, ticket: Ticket) -> _Group:
        manifest = self._manifest(ticket.generation, ticket.manifest)
        later = None if ticket.later is None else self._later(manifest, *ticket.later)
        wanted = part_of(manifest, ticket.shards).index_hash
        with self._keeping:
            same = [g.index for g in self._groups.values() if g.store.manifest.index_hash == wanted]
        return _Group(self._layout, manifest, ticket.shards, same[0] if same else None, later)

    def _manifest(self, generation: int, expected: str) -> Manifest:
        found = at_generation(self._layout, generation)
        if found.hash != expected:
            raise RalmError(f"{self._layout.root} has been built anew: open the cluster again.")
        return found

    def _later(self, manifest: Manifest, generation: int, expected: str) -> Manifest:
        """What a later generation hides. Raises RalmError if nothing says it: all would be shown."""
        try:
            return self._manifest(generation, expected)
        except RalmError:
            # The front could not read it either, and went by the lists.
            found = by_lists(self._layout, manifest)
            if found is None:
                raise
            return found

    def candidates(
        self,
        ticket: Ticket,
        vectors: NDArray[np.float32],
        assigned: Assigned,
        views: Sequence[View],
        want: int,
    ) -> list[Part]:
        """Candidates of each view among this group's rows."""
        group, parts = self._open(ticket), []
        for found in group.proposer.propose(assigned, views, want):
            exact = found.scores
            if not group.index.key.exact:
                exact = scores(group.store, vectors, found.rows)
            parts.append(Part(found.shifted(group.first), exact))
        return parts

    def frequencies(self, ticket: Ticket, queries: Sequence[str]) -> list[dict[int, int]]:
        """In how many of this group's passages each word of each query stands, by the word's hash."""
        lexical = self._open(ticket).lexical
        assert lexical is not None  # The front asks only where there is one.
        return lexical.frequencies(queries)

    def lexical(self, ticket: Ticket, counted: Counted, views: Sequence[View], k: int) -> list[Candidates]:
        """BM25 candidates of each view, by the whole store's frequencies and number of passages."""
        group = self._open(ticket)
        assert group.lexical is not None
        found = group.lexical.candidates(counted, views, k)
        return [one.shifted(group.first) for one in found]

    def passages(self, ticket: Ticket, rows: Sequence[int]) -> list[Passage]:
        """The passages of these rows of the whole store."""
        group = self._open(ticket)
        return [group.store.passage(row - group.first) for row in rows]
