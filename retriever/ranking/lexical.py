"""BM25 over the shards of a store, through bm25s, with scores that compare across shards.

bm25s bakes a collection's own statistics into each index. Ours are made to compare: a shard's index holds
term weights only, computed with the store's mean length, and a query brings the inverse document
frequencies, counted over all shards. So a shard is indexed once, alone, and stays right when others come.

What is taken down counts in no statistics, so that a compaction changes no score. A view is searched with the
statistics of the whole store: unlike a dense index, BM25 scores in a view are not those of a store built from
its passages alone.

Decisions: docs/decisions/command-line.md, words-and-fusion.md.
"""

import logging
import math
import os
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datastore.generations.manifest import Manifest
from datastore.shard import open_array
from datastore.store import Datastore
from datastore.view import View
from retriever.ranking.candidates import Candidates, Ranked, by_codes

_log = logging.getLogger(__name__)

# Robertson, Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond"; Lucene's values.
K1 = 1.2
B = 0.75
PARTS = ("tokens", "indptr", "indices", "weights")
# Of bm25s and of scikit-learn before it: two characters and more; and Lucene's English stop words.
_WORD = re.compile(r"\b\w\w+\b")
_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these "
    "they this to was will with"
)
_STOP = frozenset(_STOP_WORDS.split())


def _bm25s() -> Any:
    # Where JAX is installed bm25s tries it out, and JAX takes most of a GPU's memory in every process.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import bm25s

    return bm25s


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


def tokenize(texts: Sequence[str]) -> tuple[list[list[int]], dict[str, int]]:
    """Lower-cased, stemmed English words without stop words: ids of each text, and what an id stands for."""
    found = _bm25s().tokenize(list(texts), stopwords="en", stemmer=_stemmer(), show_progress=False)
    # A text without a word gets an empty one.
    blank = found.vocab.pop("", None)
    return [[n for n in one if n != blank] for one in found.ids], found.vocab


def token_hash(token: str) -> int:
    """64-bit xxh3 of a token: a shard's vocabulary is a sorted array of these, not a dictionary."""
    return xxhash.xxh3_64_intdigest(token.encode())


def total_length(texts: Sequence[str]) -> int:
    """Number of tokens in some texts."""
    return sum(map(len, tokenize(texts)[0]))


def index_shard(texts: Sequence[str], mean_length: float) -> dict[str, NDArray[Any]]:
    """Index a shard's passages, by the names of `PARTS`: a sparse matrix with a column for each token.

    `tokens` uint64 [V], sorted hashes; `indptr` int64 [V + 1]; `indices` int32 and `weights` float32 of all
    (token, passage) pairs: tf / (tf + k1 (1 - b + b length / mean_length)).
    """
    ids, vocabulary = tokenize(texts)
    if not vocabulary:
        return _no_words()
    # Which id a token gets differs from run to run; the order of its hash does not.
    hashes = np.array([token_hash(token) for token in vocabulary], np.uint64)
    order = np.argsort(hashes)
    place = np.empty(max(vocabulary.values(), default=-1) + 1, np.int64)
    place[np.fromiter(vocabulary.values(), np.int64, len(vocabulary))[order]] = np.arange(len(order))
    numbered = [place[one].tolist() for one in ids]
    own_mean = max(1.0, float(np.mean([len(one) for one in numbered])))
    # bm25s takes the mean of what it indexes: these k1 and b make that the store's.
    length_part = K1 * B * own_mean / mean_length
    k1 = K1 * (1 - B) + length_part
    index = _bm25s().BM25(k1=k1, b=length_part / k1, method="lucene")
    index.index(
        (numbered, {str(n): n for n in range(len(order))}), create_empty_token=False, show_progress=False
    )
    indptr = index.scores["indptr"].astype(np.int64)
    frequencies = np.diff(indptr)
    own_idf = np.array([inverse_frequency(df, len(texts)) for df in frequencies.tolist()])
    weights = index.scores["data"] / np.repeat(own_idf, frequencies)
    return {
        "tokens": hashes[order],
        "indptr": indptr,
        "indices": index.scores["indices"].astype(np.int32),
        "weights": weights.astype(np.float32),
    }


def join_shards(
    parts: Sequence[tuple[Mapping[str, NDArray[Any]], NDArray[np.bool_]]],
) -> dict[str, NDArray[Any]]:
    """The index of one shard of those rows of several that stay: of each its arrays, and which rows do.

    Weights are copied. Computed anew they would differ in their last bits, and hits that tie in their order.
    """
    found: list[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float32]]] = []
    first = 0
    for arrays, alive in parts:
        rows = np.cumsum(alive) - 1 + first
        kept = alive[arrays["indices"]]
        tokens = np.repeat(np.asarray(arrays["tokens"]), np.diff(arrays["indptr"]))
        found.append((tokens[kept], rows[arrays["indices"][kept]], arrays["weights"][kept]))
        first += int(np.count_nonzero(alive))
    tokens, rows, weights = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((rows, tokens))
    unique, counts = np.unique(tokens, return_counts=True)
    return {
        "tokens": unique,
        "indptr": np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]),
        "indices": rows[order].astype(np.int32),
        "weights": weights[order],
    }


def _no_words() -> dict[str, NDArray[Any]]:
    empty = (np.empty(0, np.uint64), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    return dict(zip(PARTS, empty, strict=True))


def inverse_frequency(frequency: int, rows: int) -> float:
    """Lucene's inverse document frequency: ln(1 + (N - df + 1/2) / (df + 1/2))."""
    return math.log1p((rows - frequency + 0.5) / (frequency + 0.5))


@dataclass(frozen=True)
class _Shard:
    """One shard's memory-mapped arrays."""

    rows: int
    alive: NDArray[np.bool_] | None  # Rows that are not taken down; None: all of them.
    tokens: NDArray[np.uint64]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.float32]

    def columns(self, tokens: NDArray[np.uint64]) -> list[slice]:
        """Where the passages of each token [n] lie; empty for one that no passage holds."""
        if not len(self.tokens):
            return [slice(0, 0)] * len(tokens)
        at = np.minimum(np.searchsorted(self.tokens, tokens), len(self.tokens) - 1)
        there = self.tokens[at] == tokens
        starts, stops = np.where(there, self.indptr[at], 0), np.where(there, self.indptr[at + 1], 0)
        return list(map(slice, starts.tolist(), stops.tolist()))

    def frequency(self, column: slice) -> int:
        """How many of a token's passages are not taken down."""
        if self.alive is None:
            return int(column.stop - column.start)
        return int(self.alive[self.indices[column]].sum())


@dataclass(frozen=True, slots=True)
class Counted:
    """Queries with the frequencies of their words, and the number of passages these were counted in."""

    queries: Sequence[str]
    frequencies: Sequence[Mapping[int, int]]
    total: int


class Lexical(ABC):
    """BM25 over rows that may lie anywhere: whoever counts words and scores rows can rank."""

    @property
    @abstractmethod
    def passages(self) -> int:
        """Number of passages that frequencies are counted in: those that are not taken down."""

    @abstractmethod
    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        """In how many passages each word of each query stands, by the word's hash."""

    @abstractmethod
    def candidates(self, counted: Counted, views: Sequence[View], k: int) -> list[Candidates]:
        """The k best rows of each query in each view, and those that tie with the last.

        What is counted may be that of a larger collection.
        """

    def rank(self, queries: Sequence[str], views: Sequence[View], k: int) -> list[Ranked]:
        """The k best rows of each query in each view; passages without any of its words are no hits."""
        counted = Counted(queries, self.frequencies(queries), self.passages)
        return [by_codes(found, k) for found in self.candidates(counted, views, k)]


def add_frequencies(parts: Iterable[Sequence[Mapping[int, int]]], queries: int) -> list[dict[int, int]]:
    """Frequencies of each query's words over several parts of a collection."""
    total: list[Counter[int]] = [Counter() for _ in range(queries)]
    for several in parts:
        for counted, mine in zip(total, several, strict=True):
            counted.update(mine)
    return [dict(counted) for counted in total]


# Of each word, by its hash, where its passages lie in each shard.
_Columns = Mapping[int, Sequence[slice]]


class LexicalIndex(Lexical):
    """The BM25 index of a store, memory-mapped. Safe between threads."""

    def __init__(self, store: Datastore, shards: Sequence[_Shard]) -> None:
        self._store = store
        self._shards = shards
        self._firsts = [*accumulate((shard.rows for shard in shards), initial=0)][:-1]

    @classmethod
    def load(cls, root: Path, store: Datastore) -> "LexicalIndex | None":
        """Open a store's BM25 index; None if it was built without one, or has lost some of it."""
        manifest: Manifest = store.manifest
        if store.lost_words is not None:
            _log.warning("Searched without words: %s is missing, restore it from a copy.", store.lost_words)
        if not store.has_words:
            return None
        shards = []
        for shard, alive in zip(manifest.shards, store.shard_alive(), strict=True):
            arrays = [open_array(root / file.path) for file in shard.lexical or ()]
            shards.append(_Shard(shard.rows, alive, *arrays))
        return cls(store, shards)

    @property
    def passages(self) -> int:
        return self._store.passages

    def rank(self, queries: Sequence[str], views: Sequence[View], k: int) -> list[Ranked]:
        """As any does; words are looked up once for counting and scoring."""
        columns = self._columns(queries)
        counted = Counted(queries, self._counted(queries, columns), self.passages)
        return [by_codes(found, k) for found in self._ranked(counted, views, k, columns)]

    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        return self._counted(queries, self._columns(queries))

    def _counted(self, queries: Sequence[str], columns: _Columns) -> list[dict[int, int]]:
        known = {
            token: sum(shard.frequency(one) for shard, one in zip(self._shards, its, strict=True))
            for token, its in columns.items()
        }
        return [{token: known[token] for token in _hashes(query)} for query in queries]

    def candidates(self, counted: Counted, views: Sequence[View], k: int) -> list[Candidates]:
        return self._ranked(counted, views, k, self._columns(counted.queries))

    def _ranked(self, counted: Counted, views: Sequence[View], k: int, columns: _Columns) -> list[Candidates]:
        masks = [None if self._store.keeps_all(view) else self._store.mask(view) for view in views]
        found: list[list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = [[] for _ in views]
        for query, frequencies in zip(counted.queries, counted.frequencies, strict=True):
            values = self._scores(query, frequencies, counted.total, columns)
            for several, mask in zip(found, masks, strict=True):
                several.append(_best(values if mask is None else np.where(mask, values, 0), k))
        return [_candidates(several) for several in found]

    def scores(self, query: str) -> NDArray[np.float32]:
        """BM25 of every row for a query: float32 [rows]; a word that stands twice counts twice."""
        (frequencies,) = self.frequencies([query])
        return self._scores(query, frequencies, self.passages, self._columns([query]))

    def _scores(
        self, query: str, frequencies: Mapping[int, int], total: int, columns: _Columns
    ) -> NDArray[np.float32]:
        out = np.zeros(self._store.rows, np.float32)
        for token in _hashes(query):
            if not frequencies.get(token):
                continue
            rows, weights = self._postings(columns[token])
            # A passage stands once among them, so a plain addition misses none.
            out[rows] += np.float32(inverse_frequency(frequencies[token], total)) * weights
        return out

    def _postings(self, columns: Sequence[slice]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows of the store that a word stands in, by shards, and its weight in each."""
        there = [
            (first, shard, column)
            for first, shard, column in zip(self._firsts, self._shards, columns, strict=True)
            if column.stop > column.start
        ]
        if not there:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        firsts = np.repeat(
            [first for first, *_ in there], [column.stop - column.start for *_, column in there]
        )
        rows = np.concatenate([shard.indices[column] for _, shard, column in there])
        return firsts + rows, np.concatenate([shard.weights[column] for _, shard, column in there])

    def _columns(self, queries: Sequence[str]) -> _Columns:
        """Where the passages of all words of some queries lie, in each shard."""
        tokens = list(dict.fromkeys(token for query in queries for token in _hashes(query)))
        asked = np.array(tokens, np.uint64)
        found = [shard.columns(asked) for shard in self._shards]
        return {token: [its[number] for its in found] for number, token in enumerate(tokens)}


def query_words(query: str) -> list[str]:
    """A query's words in order, as `tokenize` finds them: importing bm25s takes longer than most searches."""
    found = [word for word in _WORD.findall(query.lower()) if word not in _STOP]
    return [word for word in _stemmer().stemWords(found) if word]


@lru_cache(maxsize=256)
def _hashes(query: str) -> tuple[int, ...]:
    """The hashes of a query's words, in order: a search asks for them several times."""
    return tuple(token_hash(word) for word in query_words(query))


def _best(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of the k best scores above 0, and those that tie with the last: ascending."""
    rows = np.flatnonzero(scores > 0)
    if len(rows) > k:
        bound = np.partition(scores[rows], len(rows) - k)[len(rows) - k]
        rows = rows[scores[rows] >= bound]
    return rows, scores[rows]


def _candidates(found: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> Candidates:
    rows, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    return Candidates.of(np.array([len(one) for one, _ in found]), rows, scores)
