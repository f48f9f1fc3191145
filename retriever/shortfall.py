"""Why a search found fewer passages than it was to, or less surely: a sentence for whoever asked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from base.invalid import written
from datastore.conditions import Condition
from datastore.members import known_views
from datastore.schema import Scalar
from datastore.store import Datastore
from datastore.view import View
from retriever.ranking.lexical import query_words
from retriever.ranking.setting import Setting
from retriever.request import Search
from retriever.results import Ranking
from retriever.retriever import Retriever

# Rows of a store that are looked at for passages of a view, and passages for what a metadata column holds.
_ROWS, _EXAMPLES = 100_000, 1000


class Shortfall:
    """What one search, of whatever queries, can say of those that it found too little for."""

    def __init__(self, retriever: Retriever, search: Search) -> None:
        """`search` is settled."""
        self._stores = list(retriever.stores.values())
        self._search = search
        refinement = search.refinement
        dropped = ["near-duplicates"] * (refinement.near_duplicates is not None)
        dropped += ["contaminated passages"] * (refinement.decontamination is not None)
        self._kept = f" besides {' and '.join(dropped)}" if dropped else ""

    def of(self, query: str, ranking: Ranking) -> str | None:
        """The sentence about one query; None if it is not short."""
        if not ranking.exhausted:
            return None
        stores = [one.store for one in self._stores]
        if not any(store.passages for store in stores):
            whose = "The store has" if len(stores) == 1 else "The stores have"
            return f"{whose} no passages: all of them are taken down."
        found = len(ranking.hits)
        if ranking.missing:
            listed = ", ".join(map(str, ranking.missing))
            return f"Only {found}: the searchers of shards {listed} give no answer."
        if found or self._met:
            return f"Only {found}: {self._why(query)}."
        why = f"Only 0: {self._why(query)}" if self._met is None else "No passage is in this view"
        return f"{'; '.join([why, *self._examples])}."

    def _why(self, query: str) -> str:
        within = "" if self._search.view.everything else " in this view"
        if self._search.method.name == "bm25":
            if not query_words(query):
                return "BM25 finds no word in the query (stop words and single characters are none)"
            return f"no other passage{within}{self._kept} holds a word of the query"
        return f"there are no more{within}{self._kept}{self._unsearched()}"

    def _unsearched(self) -> str:
        """Where more may be that was not looked at."""
        setting = self._search.effort
        assert isinstance(setting, Setting)  # A settled search that is not by words alone has one.
        each = list(zip(self._stores, setting.of_each(len(self._stores)), strict=True))
        if any(one.index.key.is_graph for one, _ in each):
            return " on the paths through the graph"
        partly = [(mine.nprobe, one.index.nlist) for one, mine in each if 0 < mine.nprobe < one.index.nlist]
        if not partly:
            return ""
        if len(each) > 1:
            return " in the lists probed (a larger nprobe or recall probes more)"
        ((nprobe, lists),) = partly
        return f" in the {'list' if nprobe == 1 else f'{nprobe} lists'} probed (nprobe {lists} probes all)"

    @cached_property
    def _met(self) -> bool | None:
        """Whether a passage is in the view; None if there are too many to look at each."""
        view = self._search.view
        if view.everything or any(len(rows) for _, rows in self._members(view)):
            return True
        return None if any(one.store.rows > _ROWS for one in self._stores) else False

    def _members(self, view: View) -> Iterator[tuple[Datastore, NDArray[np.int64]]]:
        """The stores that can answer a view, and which of their first rows are in it."""
        stores = [one.store for one in self._stores]
        for store, (known,) in zip(stores, known_views(stores, [view]), strict=True):
            if known is not None:
                rows = np.arange(min(store.rows, _ROWS))
                yield store, rows[store.keep([known], rows)[0]]

    @cached_property
    def _examples(self) -> Sequence[str]:
        """What the view's metadata columns hold: an order with what is of another kind is met by nothing."""
        view = self._search.view
        told = (self._told(column, view) for column in dict.fromkeys(view.columns))
        return [one for one in told if one]

    def _told(self, column: str, view: View) -> str:
        """What passages of the view's domains hold in a column; empty if that explains nothing."""
        held = self._held(column, View(domains=view.domains))
        for condition in view.where:
            if not isinstance(condition, Condition) or condition.column != column:
                continue
            if held and all(map(condition.never_meets, held)):
                return f"{_kind(condition)} and {column} holds {_kinds(held)}, {written(held[0])} for example"
        if view.fraction < 1:
            return ""  # Maybe they are there, and not in this part.
        if held:
            return f"{column} is {written(held[0])}, for example"
        if view.domains:
            return ""
        holding = sum(one.store.manifest.columns.get(column, 0) for one in self._stores)
        return f"{holding:,} passages have {column}"

    def _held(self, column: str, view: View) -> list[Scalar]:
        """Values of a column in a view, of the first passages."""
        members = [(store, rows) for store, rows in self._members(view) if column in store.manifest.columns]
        passages = (store.passage(int(row)) for store, rows in members for row in rows[:_EXAMPLES])
        return [value for one in passages if (value := one.metadata.get(column)) is not None]


def _kind(condition: Condition) -> str:
    """What the value of a condition is, in words."""
    if isinstance(condition.parsed, str):
        return f"{written(condition.value)} is text"
    return f"{condition.value} is {'no text' if isinstance(condition.parsed, bool) else 'a number'}"


def _kinds(values: Sequence[Scalar]) -> str:
    """What values are that are all text, or all none."""
    if isinstance(values[0], str):
        return "text"
    return "no text" if any(isinstance(one, bool) for one in values) else "numbers"


def low_recall(retriever: Retriever, search: Search) -> str | None:
    """Says that a store's best setting finds less than it was built to; None if not, or if nobody knows.

    `search` is settled; its view is not looked at.
    """
    wanted = min(one.store.manifest.index.recall for one in retriever.stores.values())
    found = retriever.measured(replace(search, view=View()))
    if found is None or found >= wanted:
        return None
    return (
        f"No setting of this index reaches the recall {wanted:g} that it was built for, the best has "
        f"{found:.3f}: build with a finer --index-key."
    )
