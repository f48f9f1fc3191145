"""What a search is refused for, before an encoder and an index are loaded, which take seconds.

`refuse` says what manifest and card tell of a search; the rest is about queries and their vectors. Knows
neither encoder nor index. What needs no store at all, `request.py` refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from base.invalid import is_unicode
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.members import known_views
from datastore.objects.origin import Origin, locate
from datastore.store import Datastore
from retriever.index.sizing import IndexKey
from retriever.ranking.card import Card, read_card
from retriever.request import Effort, Search

# Of queries that are refused, so many are named.
_NAMED = 10
# Characters of a query that is shown.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a store: its manifest, its index's lists and card.

    `lists` is None where the loaded index alone knows how many it has: a FAISS factory string makes them.
    """

    store: Datastore
    lists: int | None
    card: Card | None

    @classmethod
    def unopened(cls, path: Path, with_card: bool) -> "Known":
        """Of a store of which nothing but the manifest is read, and its card if need be. Raises RalmError."""
        layout = Layout(locate(path))
        store = Datastore(layout, current(layout))
        return cls(store, known_lists(store.manifest.index.key), _card(store) if with_card else None)


def _card(store: Datastore) -> Card | None:
    layout, manifest = store.layout, store.manifest
    origin = Origin.of(layout.root)
    if origin is not None:
        origin.fetch_card(layout.card(manifest.index.key, manifest.edition), manifest.index_hash)
    return read_card(layout, manifest)


def known_lists(key: str) -> int | None:
    """How many lists an index has by its key; None if that does not tell."""
    parsed = IndexKey.parse(key)
    return None if parsed.foreign else parsed.nlist


def refuse(search: Search, stores: Sequence[Known]) -> None:
    """Raise RalmError for what these stores, searched together, are known not to answer.

    A Setting is taken as it is: whoever gives one knows the index.
    """
    if len(stores) == 1:
        stores[0].store.check(search.view)  # As `known_views`, which gathers the names of all domains first.
    else:
        known_views([one.store for one in stores], [search.view])
    if isinstance(search.effort, Effort):
        _refuse_effort(search.effort, search.k, stores)
    if search.method.name in ("bm25", "hybrid"):
        for one in stores:
            if not one.store.has_words:
                raise _no_words(one.store)


def refuse_unopened(search: Search, paths: Sequence[Path]) -> None:
    """As `refuse`, of stores that are not opened for it."""
    with_card = isinstance(search.effort, Effort) and search.effort.recall is not None
    refuse(search, [Known.unopened(path, with_card) for path in paths])


def _refuse_effort(effort: Effort, k: int, stores: Sequence[Known]) -> None:
    several = len(stores) > 1
    if several and effort.nprobe is not None and not any(one.lists != 0 for one in stores):
        raise RalmError("None of these stores' indexes has lists to probe: leave nprobe out.")
    for one in stores:
        # Of several stores, those without lists take no notice of how many to probe.
        if one.lists is not None and not (several and not one.lists):
            _require_lists(one.store.manifest.index.key, one.lists, effort.nprobe)
        if effort.recall is not None:
            if one.card is None:
                raise _no_card(one.store.layout.root)
            one.card.setting(effort.recall, k)


def _require_lists(key: str, lists: int, nprobe: int | None) -> None:
    if nprobe is not None and not 1 <= nprobe <= max(1, lists):
        raise RalmError(
            f"nprobe must be between 1 and the {lists} lists of this index, not {nprobe}."
            if lists
            else f"The index {key} has no lists to probe: leave nprobe out."
        )


def _no_card(root: Path) -> RalmError:
    return RalmError(
        f"{root} has no index card to choose a recall by: run `ralm card {root}`, or give nprobe and depth."
    )


def _no_words(store: Datastore) -> RalmError:
    root = store.layout.root
    if store.lost_words is not None:
        return RalmError(
            f"{store.lost_words} is missing, so {root} cannot be searched by words: restore it from a copy, "
            "or search dense."
        )
    return RalmError(f"{root} has no BM25 index: build it with `lexical: true`, or search dense.")


def require_list(queries: Sequence[str]) -> None:
    """Raise RalmError for a text in the place of a list of texts: its letters would be searched."""
    if isinstance(queries, str):
        raise RalmError(f"queries is a list of texts, not a text: write search([{_short(queries)}], ...).")
    for query in queries:
        if not isinstance(query, str):
            raise RalmError(f"queries is a list of texts: {_short(query)} is none.")


def require_answers(answers: Sequence[Sequence[str]] | None, queries: int) -> None:
    """Raise RalmError for answers that are not a list of texts for each query."""
    if not answers:
        return
    for one in (answers, *answers):
        if isinstance(one, str):
            text = _short(one)
            raise RalmError(
                f"answers is a list of texts for each query, not {text}: write answers=[[{text}]]."
            )
    if len(answers) != queries:
        raise RalmError(
            f"answers is a list of texts for each query: give {queries} of these lists, not {len(answers)}."
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def require_text(queries: Sequence[str]) -> None:
    """Raise RalmError for a query of white space alone, to which all is near, or that is no Unicode."""
    require_list(queries)
    for number, query in enumerate(queries, 1):
        which = f"Query {number}" if len(queries) > 1 else "The query"
        if not query.strip():
            raise RalmError(f"{which} is empty: give it at least one word.")
        if not is_unicode(query):
            raise RalmError(f"{which} holds bytes that are no text: write it in UTF-8.")


def require_finite(vectors: NDArray[np.float32]) -> None:
    """Raise RalmError for query vectors [n, d] that nothing can be near to.

    Too long are those whose squares float32 does not hold: products with stored vectors must stay finite.
    """
    if not isfinite(np.vdot(vectors, vectors)):
        raise RalmError(
            "A query's vector holds NaN or infinity, or is far too long: is the encoder's checkpoint whole?"
        )


def require_known(known: NDArray[np.bool_], encoder: str, words: bool) -> None:
    """Raise RalmError for queries of nothing but unknown tokens: to these all such text is equally near.

    `known` [n] says which are not; `words`: those of the others stand in no passage either.
    """
    unknown = [number for number, one in enumerate(known.tolist(), 1) if not one]
    if not unknown:
        return
    listed = ", ".join(map(str, unknown[:_NAMED])) + (", ..." if len(unknown) > _NAMED else "")
    which = "The query holds" if len(known) == 1 else f"Query {listed} holds"
    if len(unknown) > 1:
        which = f"Queries {listed} hold"
    also = ", and no passage has its words" if words else ""
    mend = "" if words else "search by words (bm25), or "
    raise RalmError(
        f"{which} nothing that the encoder {encoder} knows{also}: {mend}build with an encoder of that "
        "language."
    )
