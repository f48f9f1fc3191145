"""Retriever: queries and views to ranked passages, from one local store.

Two tiers: codes in memory propose candidates, the stored vectors score them exactly.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.schema import Passage
from datastore.view import View
from retriever.opened import OpenedStore
from retriever.ranking.candidates import Ranked, by_codes
from retriever.ranking.fusion import fuse, words_alone
from retriever.ranking.results import DENSE, Hit, Method, Ranking, Seconds, Setting
from retriever.refinement import Refinement, filtered, reordered
from retriever.refusals import (
    no_card,
    no_words,
    require_count,
    require_effort,
    require_finite,
    require_known,
    require_text,
)

if TYPE_CHECKING:
    from retriever.index.code_index import Assigned

# Without a card: lists and vectors that found 98% of an exhaustive search's first ten in the
# development corpora.
_UNMEASURED_LISTS = 1 / 4
_UNMEASURED_DEPTH = 200
# Hits of each ranking that a hybrid search joins, at least.
_FUSED = 100
# Queries whose candidates are held at once: as many for each as the one with the most ties has.
_TOGETHER = 1024


class Retriever(OpenedStore):
    """A store, the encoder it was built with and its index, loaded once. Safe between threads."""

    @property
    def stores(self) -> "dict[str, Retriever]":
        """What is searched, by name; nameless if it is one store."""
        return {"": self}

    def left_out(self, view: View) -> tuple[str, ...]:
        """The stores, by name, that hold no such domain or metadata column: nothing of them is in the view.

        Raises RalmError if that is true of all that are searched.
        """
        self.store.check(view)
        return ()

    def begin(self) -> None:
        """Forget which shards were missing in this thread's last search."""

    def missing(self) -> tuple[int, ...]:
        """Shards that gave no answer in this thread's search; a local store has them all."""
        return ()

    def silent(self) -> tuple[int, ...]:
        """Shards that gave no answer when they were last asked, by whomever; a local store has none."""
        return ()

    @property
    def method(self) -> Method:
        """What finds most here: both together where the store has a BM25 index (benchmarks/methods.py)."""
        return Method("hybrid") if self.lexical is not None else DENSE

    def setting(
        self, k: int, recall: float | None = None, nprobe: int | None = None, depth: int | None = None
    ) -> Setting:
        """The quickest setting that reaches a recall, by the index's card, or the one that is given.

        What is given neither way is that of the recall that the store was built for, or the best there is.
        Raises RalmError for a recall together with `nprobe` or `depth`.
        """
        require_effort(self.store.manifest.index.key, self.index.nlist, recall, nprobe, depth)
        if recall is not None and self.card is None:
            raise no_card(self.store.layout.root)
        chosen = self._default(k) if recall is None or self.card is None else self.card.setting(recall, k)
        return Setting(nprobe or chosen.nprobe, chosen.depth if depth is None else depth)

    def _default(self, k: int) -> Setting:
        if self.card is None:
            depth = 0 if self.index.key.exact else max(_UNMEASURED_DEPTH, 2 * k)
            return Setting(int(self.index.nlist * _UNMEASURED_LISTS), depth)
        try:
            return self.card.setting(self.store.manifest.index.recall, k)
        except RalmError:
            return self.card.best(k)

    def settings(self, setting: Setting) -> "list[tuple[Retriever, Setting]]":
        """What is searched, store by store, with the setting that each is searched by."""
        return [(self, setting)]

    def measured(self, setting: Setting, k: int, view: View | None = None) -> float | None:
        """The recall at k that a setting has at least, by the index's card; None if that does not tell.

        It tells nothing of a view, unless the index is exact: the first ten of a hundredth lie as far out as
        the first thousand of the whole, in lists that are probed less surely.
        """
        whole = view is None or view.everything or self.index.key.exact
        return self.card.measured(setting, k) if self.card is not None and whole else None

    def search(
        self,
        queries: Sequence[str],
        k: int,
        view: View | None = None,
        setting: Setting | None = None,
        method: Method = DENSE,
    ) -> list[Ranking]:
        """The k best passages of each query among those in the view."""
        return self.search_many(queries, [view or View()], k, setting, method)[0]

    def search_many(
        self,
        queries: Sequence[str],
        views: Sequence[View],
        k: int,
        setting: Setting | None = None,
        method: Method = DENSE,
        depth: int = 0,
        seconds: Seconds | None = None,
    ) -> list[list[Ranking]]:
        """The k best passages of each query in each view, from one search: [views][queries].

        The index is searched once, to `depth` (chosen from the views if 0); only queries that a view
        leaves short are searched again. `seconds`, if given, is told how long each stage took.
        """
        require_count(k)
        require_text(queries)
        seconds = seconds or Seconds()
        if not queries or not views or not self.rows:
            return [[Ranking((), True) for _ in queries] for _ in views]
        ranked = self._rank(queries, views, k, setting, method, depth, seconds)
        with seconds.of("read"):
            rows = np.unique(np.concatenate([one.rows[one.rows >= 0] for one in ranked]))
            passages = self._passages(rows.tolist())
            return [self._rankings(one, passages) for one in ranked]

    def _rank(
        self,
        queries: Sequence[str],
        views: Sequence[View],
        k: int,
        setting: Setting | None,
        method: Method,
        depth: int,
        seconds: Seconds,
    ) -> list[Ranked]:
        """The k best rows by embeddings, by words, or by both."""
        if method.name != "dense" and self.lexical is None:
            raise no_words(self.store)
        each = max(k, _FUSED) if method.name == "hybrid" else k
        known = np.ones(len(queries), bool)
        if method.name != "bm25":
            with seconds.of("encode"):
                known = self.encoder.knows(queries)
                if method.name == "dense":
                    self._require_known(known, words=False)
                vectors = self.encoder.encode_queries(queries)
            dense = self.rank(vectors, views, each, setting or self.setting(each), depth, seconds)
        if method.name == "dense" or self.lexical is None:
            return dense
        with seconds.of("words"):
            lexical = self.lexical.rank(queries, views, each)
        if method.name == "bm25":
            return lexical
        with seconds.of("fuse"):
            # What the encoder does not know, words alone may find.
            self._require_known(known | _named(lexical), words=True)
            pairs = zip(dense, lexical, strict=True)
            return [
                words_alone(fuse(one, other, k, method.fusion, method.weight), other, known)
                for one, other in pairs
            ]

    def answerable(
        self, queries: Sequence[str], views: Sequence[View], method: Method = DENSE
    ) -> NDArray[np.bool_]:
        """Which queries [n] a search answers: it refuses what the encoder does not know and no words find.

        So one of many does not cost the others their answers. Raises RalmError if there are some and it
        would refuse them all.
        """
        if method.name != "dense" and self.lexical is None:
            raise no_words(self.store)
        if method.name == "bm25" or not self.rows:
            return np.ones(len(queries), bool)
        known = self.encoder.knows(queries)
        unknown = np.flatnonzero(~known)
        if self.lexical is not None and method.name == "hybrid" and len(unknown):
            ranked = self.lexical.rank([queries[at] for at in unknown.tolist()], views, 1)
            known[unknown] = _named(ranked)
        if not known.any():
            self._require_known(known, words=method.name == "hybrid")
        return known

    def _require_known(self, known: NDArray[np.bool_], words: bool) -> None:
        require_known(known, self.store.manifest.encoder.for_queries.name, words)

    def rank(
        self,
        vectors: NDArray[np.float32],
        views: Sequence[View],
        k: int,
        setting: Setting,
        depth: int = 0,
        seconds: Seconds | None = None,
    ) -> list[Ranked]:
        """The k best rows of each query vector [n, d] in each view."""
        require_finite(vectors)
        seconds = seconds or Seconds()
        from retriever.index.threads import searching

        with searching(self._products(vectors, setting)):
            with seconds.of("propose"):
                assigned = self.index.assign(vectors, setting.nprobe)
            if len(vectors) <= _TOGETHER:
                return self._ranked(vectors, assigned, views, k, setting, depth, seconds)
            parts = [
                self._ranked(vectors[mine], assigned[mine], views, k, setting, depth, seconds)
                for mine in (slice(at, at + _TOGETHER) for at in range(0, len(vectors), _TOGETHER))
            ]
        return [Ranked.of(several) for several in zip(*parts, strict=True)]

    def _products(self, vectors: NDArray[np.float32], setting: Setting) -> float:
        """About how many components of stored vectors a search multiplies; codes cost an eighth of them."""
        lists = self.index.nlist
        share = min(1.0, setting.nprobe / lists) if lists and setting.nprobe else 1.0
        return vectors.size * self.rows * share * (1 if self.index.key.exact else 1 / 8)

    def _ranked(
        self,
        vectors: NDArray[np.float32],
        assigned: "Assigned",
        views: Sequence[View],
        k: int,
        setting: Setting,
        depth: int,
        seconds: Seconds,
    ) -> list[Ranked]:
        """The k best rows of some queries in each view."""
        rescored = bool(setting.depth) and not self.index.key.exact
        with seconds.of("propose"):
            found = self._proposer.propose(assigned, views, max(k, setting.depth), depth, not rescored)
        with seconds.of("rescore"):
            if not rescored:
                return [by_codes(one, k) for one in found]
            from retriever.ranking.rescore import by_vectors

            return by_vectors(self.store, vectors, found, k)

    def _passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        """The passages of these rows, but for those that cannot be had just now."""
        return {row: self.store.passage(row) for row in rows}

    def _rankings(self, ranked: Ranked, passages: dict[int, Passage]) -> list[Ranking]:
        rankings = []
        for rows, scores in zip(ranked.rows.tolist(), ranked.scores.tolist(), strict=True):
            found = [(row, score) for row, score in zip(rows, scores, strict=True) if row in passages]
            hits = tuple(self._hit(row, score, passages[row]) for row, score in found)
            rankings.append(Ranking(hits, len(hits) < len(rows)))
        return rankings

    def _hit(self, row: int, score: float, passage: Passage) -> Hit:
        return Hit(row, score, passage, self.store.manifest.generation)

    def _vectors(self, hits: Sequence[Hit]) -> NDArray[np.float16]:
        return self.store.vectors([hit.row for hit in hits])

    def refine(
        self,
        queries: Sequence[str],
        k: int,
        refinement: Refinement,
        view: View | None = None,
        setting: Setting | None = None,
        method: Method = DENSE,
        answers: Sequence[Sequence[str]] | None = None,
        seconds: Seconds | None = None,
    ) -> list[Ranking]:
        """The k best passages of each query after filters, cross-encoder and diversity.

        `answers` [n], where known, are looked for in passages too when these are decontaminated. What the
        filters drop is made up for: the search deepens until k are left or the view holds no more.
        """
        seconds = seconds or Seconds()
        if not refinement.filters and not refinement.reorders:
            return self.search_many(queries, [view or View()], k, setting, method, seconds=seconds)[0]
        wanted = max(k, refinement.pool) if refinement.reorders else k
        found: dict[int, Ranking] = {}
        pending, depth = list(range(len(queries))), wanted
        while pending:
            texts = [queries[q] for q in pending]
            (rankings,) = self.search_many(texts, [view or View()], depth, setting, method, seconds=seconds)
            with seconds.of("filter"):
                for query, ranking in zip(pending, rankings, strict=True):
                    known = answers[query] if answers else ()
                    left = filtered(refinement, ranking.hits, queries[query], known)
                    if len(left) >= wanted or ranking.exhausted or depth >= self.rows:
                        found[query] = replace(ranking, hits=left[:wanted], exhausted=len(left) < k)
            pending = [query for query in pending if query not in found]
            depth = 2 * depth
        with seconds.of("rerank"):
            in_order = [found[query] for query in range(len(queries))]
            return [
                replace(ranking, hits=reordered(refinement, query, ranking.hits, k, self._vectors))
                for query, ranking in zip(queries, in_order, strict=True)
            ]


def _named(lexical: Sequence[Ranked]) -> NDArray[np.bool_]:
    """Which queries [n] have a word that stands in a passage of some view."""
    named: NDArray[np.bool_] = np.any([(one.rows >= 0).any(axis=1) for one in lexical], axis=0)
    return named
