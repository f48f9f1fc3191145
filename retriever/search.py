"""Retriever: queries and a view to ranked passages, from one local store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.checkpoint import Checkpoint
from retriever.encoder import Encoder
from retriever.index import SearchIndex

# How much deeper each further search goes when a view leaves too few hits.
DEEPENING = 4
# Hits held at once, 12 bytes each: a deep search of many queries goes block by block.
_BLOCK_HITS = 1 << 23


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage: its row id, its inner product with the query, and itself."""

    row: int
    score: float
    passage: Passage


@dataclass(frozen=True, slots=True)
class Ranking:
    """The hits of one query, best first; `exhausted` says that the lists probed hold fewer than asked."""

    hits: tuple[Hit, ...]
    exhausted: bool


class Retriever:
    """A store, the encoder it was built with and its index, loaded once. Safe between threads."""

    def __init__(self, store: Datastore, encoder: Encoder, index: SearchIndex) -> None:
        self.store = store
        self.encoder = encoder
        self.index = index

    @classmethod
    def open(cls, path: Path | str, encoder: str | None = None) -> "Retriever":
        """Open a store for searching.

        `encoder`, if given, is where to find the encoder it was built with, under whatever name; another
        one is a RalmError.
        """
        store = Datastore.open(path)
        card = store.manifest.encoder
        if encoder is not None and encoder != card.name:
            if Checkpoint.find(encoder).weights_sha256 != card.weights_sha256:
                raise RalmError(
                    f"{path} was built with the encoder {card.name}, not {encoder}: search it with that "
                    "one, or build another store."
                )
            card = card.model_copy(update={"name": encoder})
        return cls(store, Encoder.open(card), SearchIndex.load(Path(path), store.manifest))

    def search(self, queries: Sequence[str], k: int, view: View | None = None) -> list[Ranking]:
        """The k best passages of each query among those in the view."""
        return self.search_many(queries, [view or View()], k)[0]

    def search_many(
        self, queries: Sequence[str], views: Sequence[View], k: int, depth: int = 0
    ) -> list[list[Ranking]]:
        """The k best passages of each query in each view, from one search: [views][queries].

        The index is searched once to `depth` (chosen from the views if 0); only queries that a view
        leaves with fewer than k hits are searched again, deeper.
        """
        if k < 1:
            raise RalmError(f"k must be at least 1, not {k}.")
        if not queries or not self.index.rows:
            return [[Ranking((), True) for _ in queries] for _ in views]
        vectors = self.encoder.encode_queries(queries)
        sparsest = min(view.fraction for view in views)
        depth = depth or (k if sparsest == 1.0 else int(1.5 * k / sparsest))
        depth = min(max(depth, k), self.index.rows)
        found: list[list[Ranking | None]] = [[None] * len(queries) for _ in views]
        pending = np.arange(len(queries))
        while len(pending):
            block = max(1, _BLOCK_HITS // depth)
            for at in range(0, len(pending), block):
                mine = pending[at : at + block]
                scores, rows = self.index.search(vectors[mine], depth)
                for query, s, r in zip(mine, scores, rows, strict=True):
                    self._fill(found, views, int(query), s, r, k, depth)
            pending = np.array([q for q in pending if any(v[q] is None for v in found)], np.int64)
            depth = min(DEEPENING * depth, self.index.rows)
        return [[r for r in per_view if r is not None] for per_view in found]

    def _fill(
        self,
        found: list[list[Ranking | None]],
        views: Sequence[View],
        query: int,
        scores: NDArray[np.float32],
        rows: NDArray[np.int64],
        k: int,
        depth: int,
    ) -> None:
        """Answer one query in every view that `depth` was deep enough for."""
        exists = rows >= 0
        exhausted = depth >= self.index.rows or not exists.all()
        scores, rows = scores[exists], rows[exists]
        keys = self.store.keys(rows.tolist())
        for number, view in enumerate(views):
            if found[number][query] is not None:
                continue
            kept = np.flatnonzero(view.keep(keys))[:k]
            if len(kept) == k or exhausted:
                hits = tuple(
                    Hit(int(rows[i]), float(scores[i]), self.store.passage(int(rows[i]))) for i in kept
                )
                found[number][query] = Ranking(hits, len(kept) < k)
