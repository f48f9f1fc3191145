"""Why a search found fewer passages than it was to, or less surely: a sentence for whoever asked."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice

from base.invalid import written
from datastore.view import View
from retriever.ranking.lexical import query_words
from retriever.ranking.setting import Setting
from retriever.request import Search
from retriever.results import Ranking
from retriever.retriever import Retriever

# Passages that are looked at for an example of a metadata column.
_EXAMPLES = 1000


class Shortfall:
    """What one search, of whatever queries, can say of those that it found too little for."""

    def __init__(self, retriever: Retriever, search: Search) -> None:
        """`search` is settled."""
        self._stores = list(retriever.stores.values())
        self._search = search
        self._kept = " that the filters keep" if search.refinement.filters else ""

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
        return f"Only {found}: {'; '.join([self._why(query), *([] if found else self._examples)])}."

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
    def _examples(self) -> Sequence[str]:
        """What the view's metadata columns hold: an order with what is of another kind is met by nothing."""
        return [self._example(column) for column in dict.fromkeys(self._search.view.columns)]

    def _example(self, column: str) -> str:
        stores = [one.store for one in self._stores if column in one.store.manifest.columns]
        passages = (passage for store in stores for passage in islice(store, _EXAMPLES))
        values = (passage.metadata.get(column) for passage in passages)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            return f"{column} is {written(value)}, for example"
        holding = sum(store.manifest.columns[column] for store in stores)
        return f"{holding:,} passages have {column}"


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
