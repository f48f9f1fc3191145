"""Several stores searched as one.

Each store proposes and scores its own candidates; scores of the same encoder compare, so the best of all are
the best of each. BM25 counts words over all stores. Rows are numbered through within a search; a hit says
which store it is of and its row there.

Decisions: docs/decisions/searching.md.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import EncoderCard
from datastore.members import known_views
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.opened import OpenedStore, Wanted
from retriever.ranking.candidates import Candidates, Ranked, by_codes, shifted
from retriever.ranking.lexical import Counted, Lexical, add_frequencies
from retriever.results import Hit
from retriever.retriever import Retriever
from retriever.searching import Session

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder

# Parts that are kept, those that were asked for last: of twenty stores there are a million.
_PARTS = 64


class SeveralRetriever(Retriever):
    """Retrievers of one store each with the same encoder, by the names that their hits are to bear.

    They may be local ones or clusters. Raises RalmError if their encoders differ.
    """

    def __init__(self, members: Mapping[str, Retriever]) -> None:
        self.members = dict(members)
        self._parts: dict[tuple[str, ...], SeveralRetriever] = {}
        self._choosing = Lock()
        self._opened = {name: _only(member) for name, member in members.items()}
        first = next(iter(self._opened.values())).store.manifest.encoder
        for name, opened in self._opened.items():
            other = opened.store.manifest.encoder
            if not first.compares_with(other):
                raise RalmError(
                    f"{name} was built with the encoder {_named(other)}, the first store with "
                    f"{_named(first)}: stores that are searched together need the same one, used in the same "
                    "way."
                )

    @property
    def stores(self) -> Mapping[str, OpenedStore]:
        return self._opened

    def only(self, names: Collection[str]) -> "SeveralRetriever":
        chosen = {name: member for name, member in self.members.items() if name in names}
        if len(chosen) < len(set(names)):
            raise KeyError(*set(names) - set(chosen))
        with self._choosing:
            # Kept: whoever keeps what a retriever found must meet it again.
            return self if len(chosen) == len(self.members) else self._kept(chosen)

    def _kept(self, chosen: dict[str, Retriever]) -> "SeveralRetriever":
        found = self._parts.pop(tuple(chosen), None) or SeveralRetriever(chosen)
        self._parts[tuple(chosen)] = found
        if len(self._parts) > _PARTS:
            del self._parts[next(iter(self._parts))]
        return found

    def loaded(self) -> "SeveralRetriever":
        """With every store's index loaded, and one encoder for all."""
        share_encoder(list(self._opened.values()))
        for opened in self._opened.values():
            opened.loaded()
        return self

    def session(self) -> "_SeveralSession":
        parts = []
        start = shards = 0
        for name, member in self.members.items():
            store = self._opened[name].store
            parts.append(_Part(name, store, member.session(), start, shards))
            start, shards = start + store.rows, shards + len(store.manifest.shards)
        return _SeveralSession(parts, list(self._opened.values()))

    def silent(self) -> tuple[int, ...]:
        """Numbered through over all stores."""
        found: list[int] = []
        before = 0
        for name, member in self.members.items():
            found += [before + shard for shard in member.silent()]
            before += len(self._opened[name].store.manifest.shards)
        return tuple(found)

    def refreshed(self) -> "SeveralRetriever":
        """Of every store's current generation; this one if all of them are."""
        found, failed = dict(self.members), []
        for name, member in self.members.items():
            try:
                found[name] = member.refreshed()
            except (RalmError, OSError) as error:
                # A damaged store must not keep the others' takedowns from taking effect.
                failed.append(error)
        if found != self.members:
            return SeveralRetriever(found)
        if failed:
            raise failed[0]
        return self

    def hiding(self) -> "SeveralRetriever":
        """Of every store whose manifest can be read."""
        found = dict(self.members)
        for name, member in self.members.items():
            with suppress(RalmError, OSError):
                found[name] = member.hiding()
        return self if found == self.members else SeveralRetriever(found)


def _only(member: Retriever) -> OpenedStore:
    (opened,) = member.stores.values()
    return opened


def share_encoder(stores: Sequence[OpenedStore]) -> "TextEncoder":
    """The first store's encoder, for all: the others' are the same, and one model in memory is enough."""
    found = stores[0].encoder
    for other in stores[1:]:
        other.encoder = found
    return found


def _named(card: EncoderCard) -> str:
    return card.name if card.query is None else f"{card.name} with {card.query.name} for queries"


@dataclass(frozen=True, slots=True)
class _Part:
    """One store in a search of several: its session, and how many rows and shards come before its own."""

    name: str
    store: Datastore
    session: Session
    first_row: int
    first_shard: int


class _SeveralSession:
    """The rows of several stores, numbered through."""

    def __init__(self, parts: Sequence[_Part], opened: Sequence[OpenedStore]) -> None:
        self._parts = parts
        self._opened = opened
        self._by_name = {part.name: part for part in parts}
        self._starts = np.array([part.first_row for part in parts], np.int64)

    @property
    def encoder(self) -> "TextEncoder":
        return share_encoder(self._opened)

    @property
    def lexical(self) -> Lexical | None:
        found = [part.session.lexical for part in self._parts]
        there = [one for one in found if one is not None]
        return _SeveralLexical(self._parts, there) if len(there) == len(found) else None

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(part.first_shard + shard for part in self._parts for shard in part.session.missing)

    def rank(self, vectors: NDArray[np.float32], wanted: Wanted) -> list[Ranked]:
        found: list[list[Ranked]] = [[] for _ in wanted.views]
        settings = wanted.setting.of_each(len(self._parts))
        for (part, views, places), mine in zip(_views(self._parts, wanted.views), settings, strict=True):
            if views:
                ranked = part.session.rank(vectors, replace(wanted, views=views, setting=mine))
                for place, one in zip(places, ranked, strict=True):
                    found[place].append(replace(one, rows=shifted(one.rows, part.first_row)))
        return [_best(several, wanted.k) for several in found]

    def passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        found: dict[int, Passage] = {}
        owners = self._owners(rows)
        for number in np.unique(owners).tolist():
            part = self._parts[number]
            mine = [row - part.first_row for row, owner in zip(rows, owners, strict=True) if owner == number]
            its = part.session.passages(mine)
            found |= {row + part.first_row: passage for row, passage in its.items()}
        return found

    def hit(self, row: int, score: float, passage: Passage) -> Hit:
        part = self._parts[int(self._owners([row])[0])]
        return replace(part.session.hit(row - part.first_row, score, passage), store=part.name)

    def vectors(self, hits: Sequence[Hit]) -> NDArray[np.float16]:
        return np.concatenate([self._by_name[hit.store].session.vectors([hit]) for hit in hits])

    def _owners(self, rows: Sequence[int]) -> NDArray[np.int64]:
        """Which part each of these rows [n] is in; a store without rows has none."""
        return np.searchsorted(self._starts, rows, side="right") - 1


class _Answers(NamedTuple):
    """The views that one store can answer, and where they stand among those that were asked."""

    part: _Part
    views: list[View]
    places: list[int]


def _views(parts: Sequence[_Part], views: Sequence[View]) -> Iterator[_Answers]:
    """For each store the views as it can answer them: it may lack a domain or a column, all may not."""
    for part, there in zip(parts, known_views([part.store for part in parts], views), strict=True):
        known = [(place, view) for place, view in enumerate(there) if view is not None]
        yield _Answers(part, [view for _, view in known], [place for place, _ in known])


class _SeveralLexical(Lexical):
    """BM25 over several stores: weights compare but for the mean length that each store was built with."""

    def __init__(self, parts: Sequence[_Part], each: Sequence[Lexical]) -> None:
        self._parts = parts
        self._each = each

    @property
    def passages(self) -> int:
        return sum(one.passages for one in self._each)

    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        return add_frequencies((one.frequencies(queries) for one in self._each), len(queries))

    def candidates(self, counted: Counted, views: Sequence[View], k: int) -> list[Candidates]:
        found: list[list[Candidates]] = [[] for _ in views]
        for (part, mine, places), lexical in zip(_views(self._parts, views), self._each, strict=True):
            if mine:
                ranked = lexical.candidates(counted, mine, k)
                for place, one in zip(places, ranked, strict=True):
                    found[place].append(one.shifted(part.first_row))
        return [_joined(several) for several in found]


def _joined(parts: Sequence[Candidates]) -> Candidates:
    """Candidates of the same queries from several stores, which come in row order."""
    rows = np.concatenate([part.rows for part in parts], axis=1)
    return Candidates(rows, np.concatenate([part.scores for part in parts], axis=1))


def _best(parts: Sequence[Ranked], k: int) -> Ranked:
    """The k best of several rankings of the same queries."""
    rows = np.concatenate([part.rows for part in parts], axis=1)
    scores = np.concatenate([part.scores for part in parts], axis=1)
    # Of each query the rows, ascending, as candidates come.
    order = np.argsort(rows, axis=1)
    rows, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return by_codes(Candidates(rows, scores), k)
