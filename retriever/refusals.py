"""What is asked of a search, and what can be said of it by manifests and cards alone.

An encoder and an index take seconds to load: what a store cannot answer is refused before. Knows neither.
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
from datastore.view import View
from retriever.index.sizing import IndexKey
from retriever.ranking.card import read_card
from retriever.ranking.results import Method

# Of queries that are refused, so many are named.
_NAMED = 10


def require_text(queries: Sequence[str]) -> None:
    """Raise RalmError for a query of white space alone, to which all is near, or that is no Unicode."""
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


def require_count(k: int) -> None:
    """Raise RalmError for a search that is to find nothing."""
    if k < 1:
        raise RalmError(f"k must be at least 1, not {k}.")


def require_effort(key: str, nlist: int, recall: float | None, nprobe: int | None, depth: int | None) -> None:
    """Raise RalmError for a recall, lists to probe or vectors to re-score that an index cannot take.

    `key` and `nlist` are the index's. A recall stands for lists and vectors: it is given alone.
    """
    if recall is not None and not (nprobe is None and depth is None):
        raise RalmError("A recall chooses nprobe and depth by itself: give either recall, or those two.")
    if recall is not None and not 0 < recall <= 1:
        raise RalmError(f"recall, a share of what is to be found, must be in (0, 1], not {recall:g}.")
    if nprobe is not None and not 1 <= nprobe <= max(1, nlist):
        raise RalmError(
            f"nprobe must be between 1 and the {nlist} lists of this index, not {nprobe}."
            if nlist
            else f"The index {key} has no lists to probe: leave nprobe out."
        )
    if depth is not None and depth < 0:
        raise RalmError(f"depth, the number of vectors re-scored, must not be negative: {depth}.")


def require_some_lists(nlists: Sequence[int], nprobe: int | None) -> None:
    """Raise RalmError for lists to probe if none of several indexes has any."""
    if nprobe is not None and not any(nlists):
        raise RalmError("None of these stores' indexes has lists to probe: leave nprobe out.")


def no_card(root: Path) -> RalmError:
    """Says that a recall cannot be chosen."""
    return RalmError(
        f"{root} has no index card to choose a recall by: run `ralm card {root}`, or give nprobe and depth."
    )


def no_words(store: Datastore) -> RalmError:
    """Says that a search by words cannot be made."""
    root = store.layout.root
    if store.lost_words is not None:
        return RalmError(
            f"{store.lost_words} is missing, so {root} cannot be searched by words: restore it from a copy, "
            "or search dense."
        )
    return RalmError(f"{root} has no BM25 index: build it with `lexical: true`, or search dense.")


@dataclass(frozen=True, slots=True)
class Asked:
    """A search, its queries aside. Without a `method` a store takes what finds most."""

    k: int
    view: View
    recall: float | None = None
    nprobe: int | None = None
    depth: int | None = None
    method: Method | None = None

    def check(self, paths: Sequence[Path]) -> None:
        """Raise RalmError for what these stores, searched together, are known to refuse."""
        require_count(self.k)
        stores = [_unopened(path) for path in paths]
        keys = [IndexKey.parse(store.manifest.index.key) for store in stores]
        # How many lists a factory string makes, the loaded index alone knows.
        told = [key.family != "factory" for key in keys]
        if len(stores) > 1 and all(told):
            require_some_lists([key.nlist for key in keys], self.nprobe)
        known_views(stores, [self.view])
        for store, key, known in zip(stores, keys, told, strict=True):
            # Of several stores, those without lists take no notice of how many to probe.
            nprobe = self.nprobe if known and (key.nlist or len(stores) == 1) else None
            require_effort(key.text, key.nlist, self.recall, nprobe, self.depth)
            if self.recall is not None:
                _require_recall(store, self.recall, self.k)
            if self.method is not None and self.method.name != "dense" and not store.has_words:
                raise no_words(store)


def _unopened(path: Path) -> Datastore:
    """A store of which nothing but its manifest is read."""
    layout = Layout(locate(path))
    return Datastore(layout, current(layout))


def _require_recall(store: Datastore, recall: float, k: int) -> None:
    layout, manifest = store.layout, store.manifest
    origin = Origin.of(layout.root)
    if origin is not None:
        origin.fetch_card(layout.card(manifest.index.key, manifest.edition), manifest.index_hash)
    card = read_card(layout, manifest)
    if card is None:
        raise no_card(layout.root)
    card.setting(recall, k)
