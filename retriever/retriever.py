"""What a retriever is, wherever its rows lie: queries and a `Search` to ranked passages.

`LocalRetriever`, `ClusterRetriever` and `SeveralRetriever` say where the rows lie; what all of them do is
written here, once. Knows no encoder and no index.

Decisions: docs/decisions/searching.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from datastore.members import known_views
from datastore.schema import Passage
from datastore.view import View
from retriever.neighbours import chunks_around
from retriever.opened import OpenedStore, setting_of
from retriever.ranking.setting import Setting
from retriever.refusals import refuse
from retriever.request import Search
from retriever.results import Hit, Ranking, Seconds
from retriever.searching import QueryEncoder, Searching, Session

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder


class Retriever(ABC):
    """One store or several, opened for searching. Safe between threads."""

    @property
    @abstractmethod
    def stores(self) -> Mapping[str, OpenedStore]:
        """What is searched, by name; nameless if it is one store."""

    def only(self, names: Collection[str]) -> "Retriever":
        """A retriever of some of these stores; of all, itself. The same names give the same one again.

        Raises KeyError for a name that none has.
        """
        for name in names:
            _ = self.stores[name]
        return self

    @abstractmethod
    def session(self) -> Session:
        """The rows, for one search."""

    @abstractmethod
    def silent(self) -> tuple[int, ...]:
        """Shards that gave no answer when they were last asked, by whomever."""

    @abstractmethod
    def refreshed(self) -> Self:
        """A retriever of the current generation: this one, if it is of that already.

        What both can share, they share; this one stays usable. Raises RalmError if it cannot be opened.
        """

    @abstractmethod
    def hiding(self) -> Self:
        """This retriever without what has been taken down since; itself if nothing has.

        For where the current generation cannot be opened, or not yet. Raises RalmError if its manifest cannot
        be read, nor a list of takedowns found.
        """

    @property
    def encoder(self) -> "TextEncoder":
        """What encodes queries, loaded when it is first asked for."""
        return self.session().encoder

    @property
    def hash(self) -> str:
        """The manifest's hash: names what is searched. Of several stores, that of their hashes."""
        each = [one.store.hash for one in self.stores.values()]
        return each[0] if len(each) == 1 else xxhash.xxh3_128_hexdigest("".join(each).encode())

    @property
    def rows(self) -> int:
        """Number of rows that are searched, taken down or not."""
        return sum(one.store.rows for one in self.stores.values())

    def settled(self, search: Search) -> Search:
        """A search with its method named and its setting chosen for k.

        By words alone there is no setting to choose. Raises RalmError for what these stores cannot answer.
        """
        named = self._named(search)
        if named.method.name == "bm25":
            return named
        return replace(named, effort=setting_of(list(self.stores.values()), named.effort, named.k))

    def _named(self, search: Search) -> Search:
        """A search with its method named. Raises RalmError for what these stores cannot answer."""
        refuse(search, [one.known for one in self.stores.values()])
        if search.method.name is not None:
            return search
        words = all(one.store.has_words for one in self.stores.values())
        return replace(search, method=replace(search.method, name="hybrid" if words else "dense"))

    def search(
        self,
        queries: Sequence[str],
        search: Search,
        answers: Sequence[Sequence[str]] | None = None,
        seconds: Seconds | None = None,
        encoder: QueryEncoder | None = None,
    ) -> list[Ranking]:
        """The best passages of each query, refined.

        `answers` [n], where known, are looked for in passages too when these are decontaminated. `seconds`,
        if given, is told how long each stage took. `encoder`, if given, encodes in place of this retriever's
        own: one that keeps that one's vectors. Raises RalmError for what cannot be answered.
        """
        return self._searching(search, seconds, encoder).refined(queries, answers)

    def search_many(
        self,
        queries: Sequence[str],
        views: Sequence[View],
        search: Search,
        seconds: Seconds | None = None,
    ) -> list[list[Ranking]]:
        """The best passages of each query in each view, from one search of the index: [views][queries].

        The views stand for the search's own; nothing is refined. Only queries that a view leaves short are
        searched again.
        """
        return self._searching(search, seconds).many(queries, views, search.k)

    def answerable(self, queries: Sequence[str], views: Sequence[View], search: Search) -> NDArray[np.bool_]:
        """Which queries [n] a search answers: it refuses what the encoder does not know and no words find.

        So one of many does not cost the others their answers. Raises RalmError if there are some and it
        would refuse them all.
        """
        return self._searching(search).answerable(queries, views)

    def _searching(
        self, search: Search, seconds: Seconds | None = None, encoder: QueryEncoder | None = None
    ) -> Searching:
        return Searching(list(self.stores.values()), self.session(), self._named(search), seconds, encoder)

    def around(self, hit: Hit, reach: int, view: View = View()) -> tuple[Passage, ...]:
        """A hit with up to `reach` chunks of its document before and behind it: those in the view, in a row.

        They are read here, also where others search. The hit is one of this retriever's own.
        """
        stores = {name: one.store for name, one in self.stores.items()}
        known = dict(zip(stores, known_views(list(stores.values()), [view]), strict=True))
        (mine,) = known[hit.store]
        return () if mine is None else chunks_around(stores[hit.store], hit, reach, mine)

    def measured(self, search: Search) -> float | None:
        """The recall at k that a settled search has at least, in every store, by the index's card.

        None by words alone, and where the card does not tell.
        """
        stores = list(self.stores.values())
        if not isinstance(search.effort, Setting) or search.method.name == "bm25":
            return None
        each = zip(stores, search.effort.of_each(len(stores)), strict=True)
        found = [one.measured(mine, search.k, search.view) for one, mine in each]
        return None if None in found else min(one for one in found if one is not None)

    def left_out(self, view: View) -> tuple[str, ...]:
        """Of several stores those, by name, that hold no such domain or metadata column: none is in the view.

        Raises RalmError if that is true of all of them.
        """
        if len(self.stores) == 1:
            return ()
        known = known_views([one.store for one in self.stores.values()], [view])
        return tuple(name for name, (mine,) in zip(self.stores, known, strict=True) if mine is None)
