"""Why a search found fewer passages than it was to, or less surely: a sentence for whoever asked."""

from collections.abc import Sequence
from itertools import islice

from datastore.invalid import written
from datastore.store import Datastore
from datastore.view import View
from retriever.index import Setting
from retriever.lexical import tokenize
from retriever.ranking import Method, Ranking
from retriever.search import Retriever

# Passages that are looked at for an example of a metadata column.
_EXAMPLES = 1000


def shortfall(
    retriever: Retriever,
    query: str,
    ranking: Ranking,
    view: View,
    nprobe: int,
    method: Method,
    filtered: bool,
) -> str | None:
    """The sentence; None if nothing is short. `filtered`: hits may have been dropped."""
    if not ranking.exhausted:
        return None
    stores = [one.store for one in retriever.stores.values()]
    if not any(store.passages for store in stores):
        return "The store has no passages: all of them are taken down."
    if ranking.missing:
        listed = ", ".join(map(str, ranking.missing))
        return f"Only {len(ranking.hits)}: the searchers of shards {listed} give no answer."
    examples = [_example(stores, column) for column in view.columns] if not ranking.hits else []
    why = _why(retriever, query, view, nprobe, method)
    if filtered:
        why += " that the filters keep"
    return f"Only {len(ranking.hits)}: {'; '.join([why, *examples])}."


def low_recall(retriever: Retriever, setting: Setting, k: int) -> str | None:
    """Says that a store's best setting finds less than it was built to; None if not, or if nobody knows."""
    wanted = min(one.store.manifest.index.recall for one in retriever.stores.values())
    found = retriever.measured(setting, k)
    if found is None or found >= wanted:
        return None
    return (
        f"No setting of this index reaches the recall {wanted:g} that it was built for, the best has "
        f"{found:.3f}: build with a finer --index-key."
    )


def _why(retriever: Retriever, query: str, view: View, nprobe: int, method: Method) -> str:
    lists = max(one.index.nlist for one in retriever.stores.values())
    within = "" if view.everything else " in this view"
    if method.name == "bm25":
        if not any(tokenize([query])[0]):
            return "BM25 finds no word in the query (stop words and single characters are none)"
        return f"no other passage{within} holds a word of the query"
    if nprobe < lists:
        probed = "list" if nprobe == 1 else f"{nprobe} lists"
        return f"there are no more{within} in the {probed} probed (nprobe {lists} probes all)"
    return f"there are no more{within}"


def _example(stores: Sequence[Datastore], column: str) -> str:
    """What a metadata column holds: a condition that compares with something else is met by nothing."""
    passages = (passage for store in stores for passage in islice(store, _EXAMPLES))
    values = (passage.metadata.get(column) for passage in passages)
    value = next((value for value in values if value is not None), None)
    return (
        f"{column} is {written(value)}, for example" if value is not None else f"few passages have {column}"
    )
