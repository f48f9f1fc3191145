"""Vectors of queries, kept by their texts: what was asked before is not encoded again.

Decisions: docs/decisions/serving.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retriever.searching import QueryEncoder
from serve.queues.kept import KeptOf

# Bytes beside components and characters: an array's header, a string's, and their entry.
_BESIDE = 400


@dataclass(frozen=True, slots=True)
class Encoded:
    """One query as an encoder sees it: whether it knows anything of it, and its vector [dimension]."""

    known: bool
    vector: NDArray[np.float32]


class EncodedQueries:
    """Some queries with their vectors: a QueryEncoder of these and no others."""

    def __init__(self, encoded: Mapping[str, Encoded]) -> None:
        self._encoded = encoded

    @classmethod
    def joined(cls, several: "Iterable[EncodedQueries]") -> "EncodedQueries":
        """All of several."""
        encoded: dict[str, Encoded] = {}
        for one in several:
            encoded |= one._encoded
        return cls(encoded)

    def knows(self, queries: Sequence[str]) -> NDArray[np.bool_]:
        """Whether the encoder knows anything of each query: [n]."""
        return np.array([self._encoded[query].known for query in queries], bool)

    def encode_queries(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of queries: [n, dimension]."""
        return np.stack([self._encoded[query].vector for query in queries])


class QueryVectors:
    """Encodes queries together, and keeps what the encoder gave."""

    def __init__(self, most_bytes: int) -> None:
        self.kept: KeptOf[str, Encoded] = KeptOf(most_bytes, _size)

    def of(self, encoder: QueryEncoder, queries: Sequence[str]) -> EncodedQueries:
        """Those of the queries that are not kept are encoded as one batch."""
        kept, found, new = self.kept.of(encoder), dict[str, Encoded](), list[str]()
        for query in dict.fromkeys(queries):
            one = kept.get(query)
            if one is None:
                new.append(query)
            else:
                found[query] = one
        if new:
            for query, known, vector in zip(
                new, encoder.knows(new), encoder.encode_queries(new), strict=True
            ):
                found[query] = Encoded(bool(known), vector.copy())  # A row would hold its whole batch.
                kept.put(query, found[query])
        return EncodedQueries(found)


def _size(query: str, encoded: Encoded) -> int:
    return 4 * len(query) + encoded.vector.nbytes + _BESIDE
