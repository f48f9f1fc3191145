"""An encoder as those see it who have texts: texts to token ids here, and to vectors wherever its model is.

Knows no model: it imports neither torch nor transformers.

Decisions: docs/decisions/scaling-out.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import Device, Dtype, EncoderCard
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.tokenizer import EncoderTokenizer


class TextEncoder(ABC):
    """One tower of an encoder. Safe between threads."""

    checkpoint: Checkpoint
    tokenizer: EncoderTokenizer
    dtype: Dtype
    device: Device
    dimension: int

    @abstractmethod
    def vectors(
        self, ids: Sequence[NDArray[np.int32]], kind: str, told: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of texts of a kind, "query" or "passage", given by token ids: [len(ids), dimension].

        `told` hears of each batch how many texts it held.
        """

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many weights a token is multiplied with."""

    def card(self) -> EncoderCard:
        """What the manifest keeps of this encoder, as one tower."""
        return self.checkpoint.card(self.dimension, self.dtype)

    def is_of(self, card: EncoderCard) -> bool:
        """Whether it encodes the queries of a store of this card."""
        return self.card().compares_with(card.for_queries)

    def encode_queries(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of queries: [len(queries), dimension], float32."""
        return self.vectors(self.tokenizer.query_ids(queries), "query")

    def knows(self, queries: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each query holds anything that is in the encoder's vocabulary: [len(queries)]."""
        return np.array([self.tokenizer.knows(query) for query in queries], bool)

    def encode_passages(
        self, ids: Sequence[NDArray[np.int32]], told: Callable[[int], None] | None = None
    ) -> NDArray[np.float16]:
        """Vectors of passages given by their own token ids: [len(ids), dimension], float16.

        `told` hears of each batch how many passages it held. Raises RalmError if float16 does not hold them.
        """
        return as_float16(self.vectors(ids, "passage", told), self.checkpoint.name)


def as_float16(vectors: NDArray[np.float32], name: str) -> NDArray[np.float16]:
    """Vectors as a store keeps them; `name` is the encoder's. Raises RalmError if one becomes infinite.

    Vectors of length 1 cannot get there; those of encoders for dot products could, whose length is free.
    """
    with np.errstate(over="ignore"):
        found = vectors.astype(np.float16)
    if not np.isfinite(found).all():
        raise RalmError(
            f"The encoder {name} gives vectors with components that float16 does not hold (beyond 65,504, or "
            "no numbers): build with `similarity: cosine`, and see that its checkpoint is whole."
        )
    return found
