"""One search on its way, the same wherever the rows lie: encode, rank, fuse, read passages, refine.

A `Session` is where the rows lie: in this process, with the actors of a cluster, in several stores.

Decisions: docs/decisions/searching.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from datastore.schema import Passage
from datastore.view import View
from retriever.opened import OpenedStore, Wanted, setting_of
from retriever.ranking.candidates import Ranked
from retriever.ranking.fusion import fuse, words_alone
from retriever.ranking.lexical import Lexical
from retriever.refinement import filtered, reordered
from retriever.refusals import require_answers, require_known, require_list, require_text
from retriever.request import Search
from retriever.results import Hit, Ranking, Seconds

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder

# Hits of each ranking that a hybrid search joins, at least.
_FUSED = 100


class QueryEncoder(Protocol):
    """What makes vectors of queries: an encoder, or what keeps vectors that one has made."""

    def knows(self, queries: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each query [n] holds anything that the encoder knows."""
        ...

    def encode_queries(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of queries: [n, dimension]."""
        ...


class Session(Protocol):
    """The rows that one search looks through, and what it takes to rank and to show them."""

    @property
    def encoder(self) -> "TextEncoder":
        """What encodes queries."""
        ...

    @property
    def lexical(self) -> Lexical | None:
        """BM25 over these rows, None if some of them have none."""
        ...

    @property
    def missing(self) -> tuple[int, ...]:
        """Shards that have given no answer in this session, in order: they are not asked again."""
        ...

    def rank(self, vectors: NDArray[np.float32], wanted: Wanted) -> list[Ranked]:
        """The best rows of each query vector [n, d] in each view."""
        ...

    def passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        """The passages of these rows, but for those that cannot be had just now."""
        ...

    def hit(self, row: int, score: float, passage: Passage) -> Hit:
        """A row with its passage as the caller is to see it: by its own store's number."""
        ...

    def vectors(self, hits: Sequence[Hit]) -> NDArray[np.float16]:
        """The stored vectors of these hits: [n, d]."""
        ...


class Searching:
    """A search of some stores in one session."""

    def __init__(
        self,
        stores: Sequence[OpenedStore],
        session: Session,
        search: Search,
        seconds: Seconds | None = None,
        encoder: QueryEncoder | None = None,
    ) -> None:
        """The search's method has its name. `seconds`, if given, is told how long each stage took.

        `encoder`, if given, encodes in place of the session's.
        """
        self._stores = stores
        self._session = session
        self._search = search
        self._seconds = Seconds() if seconds is None else seconds
        self._rows = sum(store.store.rows for store in stores)
        self._given = encoder

    @property
    def _encoder(self) -> QueryEncoder:
        # Asked for when it is needed: a search by words loads none.
        return self._session.encoder if self._given is None else self._given

    def many(self, queries: Sequence[str], views: Sequence[View], k: int) -> list[list[Ranking]]:
        """The k best passages of each query in each view, from one search of the index: [views][queries]."""
        require_text(queries)
        if not queries or not views or not self._rows:
            return [[Ranking((), True) for _ in queries] for _ in views]
        before: tuple[int, ...] | None = None
        found: list[list[Ranking]] = []
        while before != self._session.missing:
            # A searcher that is lost half-way has left candidates that cannot be read: once more, without it.
            before = self._session.missing
            found = self._once(queries, views, k)
        return found

    def refined(
        self, queries: Sequence[str], answers: Sequence[Sequence[str]] | None = None
    ) -> list[Ranking]:
        """The k best passages of each query after filters, cross-encoder and diversity.

        `answers` [n], where known, are looked for in passages too when these are decontaminated. If the
        filters drop hits, the search goes deeper until k are left or the view holds no more.
        """
        require_list(queries)
        require_answers(answers, len(queries))
        k, view, refinement = self._search.k, self._search.view, self._search.refinement
        if not refinement.filters and not refinement.reorders:
            return self.many(queries, [view], k)[0]
        wanted = max(k, refinement.pool) if refinement.reorders else k
        found: dict[int, Ranking] = {}
        pending, depth = list(range(len(queries))), wanted
        while pending:
            (rankings,) = self.many([queries[q] for q in pending], [view], depth)
            with self._seconds.of("filter"):
                for query, ranking in zip(pending, rankings, strict=True):
                    known = answers[query] if answers else ()
                    left = filtered(refinement, ranking.hits, queries[query], known)
                    if len(left) >= wanted or ranking.exhausted or depth >= self._rows:
                        found[query] = replace(ranking, hits=left[:wanted], exhausted=len(left) < k)
            pending = [query for query in pending if query not in found]
            depth = 2 * depth
        with self._seconds.of("rerank"):
            return [self._reordered(query, found[number]) for number, query in enumerate(queries)]

    def _reordered(self, query: str, ranking: Ranking) -> Ranking:
        search = self._search
        hits = reordered(search.refinement, query, ranking.hits, search.k, self._session.vectors)
        return replace(ranking, hits=hits)

    def answerable(self, queries: Sequence[str], views: Sequence[View]) -> NDArray[np.bool_]:
        """Which queries [n] a search answers: it refuses what the encoder does not know and no words find.

        So one of many does not cost the others their answers. Raises RalmError if there are some and it
        would refuse them all.
        """
        require_list(queries)
        method, lexical = self._search.method.name, self._session.lexical
        if method == "bm25" or not self._rows:
            return np.ones(len(queries), bool)
        known = self._encoder.knows(queries)
        unknown = np.flatnonzero(~known)
        if lexical is not None and method == "hybrid" and len(unknown):
            ranked = lexical.rank([queries[at] for at in unknown.tolist()], views, 1)
            known[unknown] = _named(ranked)
        if not known.any():
            self._require_known(known, words=method == "hybrid")
        return known

    def _once(self, queries: Sequence[str], views: Sequence[View], k: int) -> list[list[Ranking]]:
        ranked = self._rank(queries, views, k)
        with self._seconds.of("passages"):
            rows = np.unique(np.concatenate([one.rows[one.rows >= 0] for one in ranked]))
            passages = self._session.passages(rows.tolist())
            return [self._rankings(one, passages) for one in ranked]

    def _rank(self, queries: Sequence[str], views: Sequence[View], k: int) -> list[Ranked]:
        """The k best rows by embeddings, by words, or by both."""
        method, seconds, lexical = self._search.method, self._seconds, self._session.lexical
        each = max(k, _FUSED) if method.name == "hybrid" else k
        known = np.ones(len(queries), bool)
        if method.name != "bm25":
            known, dense = self._by_embeddings(queries, views, each)
        if method.name == "dense" or lexical is None:
            return dense
        with seconds.of("words"):
            by_words = lexical.rank(queries, views, each)
        if method.name == "bm25":
            return by_words
        with seconds.of("fuse"):
            # What the encoder does not know, words alone may find.
            self._require_known(known | _named(by_words), words=True)
            pairs = zip(dense, by_words, strict=True)
            return [
                words_alone(fuse(one, other, k, method.fusion, method.weight), other, known)
                for one, other in pairs
            ]

    def _by_embeddings(
        self, queries: Sequence[str], views: Sequence[View], k: int
    ) -> tuple[NDArray[np.bool_], list[Ranked]]:
        """Which queries [n] the encoder knows, and the k best rows of each view."""
        with self._seconds.of("encode"):
            known = self._encoder.knows(queries)
            if self._search.method.name == "dense":
                self._require_known(known, words=False)
            vectors = self._encoder.encode_queries(queries)
        setting = setting_of(self._stores, self._search.effort, k)
        wanted = Wanted(views, k, setting, self._search.reach, self._seconds)
        return known, self._session.rank(vectors, wanted)

    def _require_known(self, known: NDArray[np.bool_], words: bool) -> None:
        require_known(known, self._stores[0].store.manifest.encoder.for_queries.name, words)

    def _rankings(self, ranked: Ranked, passages: Mapping[int, Passage]) -> list[Ranking]:
        rankings, missing = [], self._session.missing
        for rows, scores in zip(ranked.rows.tolist(), ranked.scores.tolist(), strict=True):
            found = [(row, score) for row, score in zip(rows, scores, strict=True) if row in passages]
            hits = tuple(self._session.hit(row, score, passages[row]) for row, score in found)
            rankings.append(Ranking(hits, len(hits) < len(rows), missing))
        return rankings


def _named(lexical: Sequence[Ranked]) -> NDArray[np.bool_]:
    """Which queries [n] have a word that stands in a passage of some view."""
    named: NDArray[np.bool_] = np.any([(one.rows >= 0).any(axis=1) for one in lexical], axis=0)
    return named
