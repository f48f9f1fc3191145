"""A retriever of a store whose shards lie with several Ray actors, a group with each.

A searcher returns the candidates of its group with their codes' and their exact scores. The front keeps of
all candidates those that one search over the whole store would have kept, so the answer is the same bytes,
however the shards are grouped.

Decisions: docs/decisions/searching.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current_hash, open_current
from datastore.generations.manifest import Manifest
from datastore.opening import require_searchable
from datastore.store import Datastore
from retriever.cluster.actors import Actors, Holders, Searchers
from retriever.cluster.session import ClusterSession, Spread
from retriever.index.faiss_index import SearchIndex, read_trained
from retriever.index.sizing import IndexKey
from retriever.opened import OpenedStore, Opening
from retriever.ranking.card import read_card, usable_card
from retriever.retriever import Retriever


class ClusterRetriever(Retriever):
    """A retriever whose rows lie with actors. Retrievers of several generations share them."""

    def __init__(self, opened: OpenedStore, actors: Holders, how: Searchers) -> None:
        """`opened` has the trained part of the index alone: what assigns a query to lists."""
        self.opened = opened
        self.actors = actors
        self.how = how
        self.spread = Spread(opened, actors)

    @classmethod
    def open(cls, root: Path, searchers: Searchers, how: Opening = Opening()) -> "ClusterRetriever":
        """Start the searchers and wait until all have loaded their shards.

        Raises RalmError for a graph, and if a searcher has not loaded after five minutes.
        """
        return cls.over(Actors(root.absolute(), searchers), root, searchers, how)

    @classmethod
    def over(
        cls, actors: Holders, root: Path, searchers: Searchers, how: Opening = Opening()
    ) -> "ClusterRetriever":
        """The same over searchers that have been started; they are closed if it fails."""
        try:
            found = cls(_opened(root, how), actors, searchers)
            # None may be missing at the start, and loading takes longer than a search.
            ClusterSession(found.spread, replace(searchers.loading(), partial=False)).ask("ready")
        except BaseException:
            actors.close()
            raise
        return found

    @property
    def stores(self) -> Mapping[str, OpenedStore]:
        return {"": self.opened}

    def session(self) -> ClusterSession:
        return ClusterSession(self.spread, self.how)

    def silent(self) -> tuple[int, ...]:
        return tuple(sorted(self.spread.shards(self.actors.silence.among(len(self.spread.groups)))))

    def refreshed(self) -> "ClusterRetriever":
        """Over the same searchers: until requests to this one have ended, they hold both generations.

        Where their shards' codes are the same, they hold them once.
        """
        store = self.opened.store
        if current_hash(store.layout) == store.hash:
            return self
        found = ClusterRetriever(
            _opened(store.layout.root, self.opened.how, self.opened), self.actors, self.how
        )
        # Loaded before it is asked about; with `partial`, whoever is lost does not keep a takedown waiting.
        ClusterSession(found.spread, self.how if self.how.partial else self.how.loading()).ask("ready")
        return found

    def hiding(self) -> "ClusterRetriever":
        """The searchers hide the same rows when they are asked the next time."""
        opened = self.opened.hiding()
        return self if opened is self.opened else ClusterRetriever(opened, self.actors, self.how)

    def close(self) -> None:
        """Stop the searchers."""
        self.actors.close()


def _opened(root: Path, how: Opening, before: OpenedStore | None = None) -> OpenedStore:
    """The current generation, with the encoder of the one before if it is the same.

    Searchers open it when they are asked about it.
    """
    layout = Layout(root.absolute())
    manifest, hold = open_current(layout)
    require_searchable(layout, manifest)
    key = require_parts(manifest)
    index = SearchIndex(read_trained(layout.root / manifest.index.trained.path), key)
    encoder = before.encoder if before and before.encoder.is_of(manifest.encoder) else None
    card = usable_card(layout, manifest) if before else read_card(layout, manifest)
    return OpenedStore(Datastore(layout, manifest, hold), how, encoder, index, card).loaded()


def require_parts(manifest: Manifest) -> IndexKey:
    """What the index of a store is. Raises RalmError for one that cannot be searched in parts."""
    key = IndexKey.parse(manifest.index.key)
    if key.is_graph:
        raise RalmError(f"A graph ({key.text}) is one file and cannot be searched in parts: use one process.")
    return key
