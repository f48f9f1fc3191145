"""The encoders of a build: one for passages and, where a model has two towers, one for queries.

Decisions: docs/decisions/encoders.md.
"""

from dataclasses import dataclass, replace
from typing import Any

from base.errors import RalmError
from datastore.generations.manifest import Dtype, EncoderCard
from pipelines.config import BuildConfig
from retriever.encoding.checkpoint import Checkpoint


@dataclass(frozen=True)
class Towers:
    """The checkpoints that embed passages and queries; `queries` is None if one embeds both."""

    passages: Checkpoint
    queries: Checkpoint | None = None

    @classmethod
    def find(cls, config: BuildConfig) -> "Towers":
        """The encoders that a configuration names. Raises RalmError if their vectors do not go together."""
        passages = Checkpoint.find(config.encoder, config.usage)
        if config.query_encoder is None:
            return cls(passages)
        queries = Checkpoint.find(config.query_encoder, config.usage)
        if None not in (passages.dimension, queries.dimension) and passages.dimension != queries.dimension:
            raise RalmError(
                f"{config.query_encoder} gives vectors of {queries.dimension} components, {config.encoder} "
                f"of {passages.dimension}: passages and queries need encoders that were trained together."
            )
        return cls(*_pooled(passages, queries))

    @classmethod
    def of(cls, card: EncoderCard) -> "Towers":
        """Those of a store, used as they were. Raises RalmError if their weights have changed."""
        return cls(Checkpoint.of(card), Checkpoint.of(card.query) if card.query else None)

    def card(self, dimension: int, dtype: Dtype) -> EncoderCard:
        """What a manifest keeps of them, loaded with weights of this type."""
        query = self.queries.card(dimension, dtype) if self.queries else None
        return self.passages.card(dimension, dtype).model_copy(update={"query": query})

    def settings(self) -> dict[str, Any]:
        """What vectors follow from, as JSON: the weights, and how they are used."""
        found: dict[str, Any] = {
            "encoder_sha256": self.passages.weights_sha256,
            "usage": self.passages.usage.to_json(),
        }
        if self.queries:
            found["query_encoder_sha256"] = self.queries.weights_sha256
            found["query_usage"] = self.queries.usage.to_json()
        return found


def _pooled(passages: Checkpoint, queries: Checkpoint) -> tuple[Checkpoint, Checkpoint]:
    """A pooling that is given is for the plain one of two; both refuse it if neither is."""
    if passages.plain == queries.plain:
        return passages, queries
    towers = (
        one if one.plain else replace(one, given=replace(one.given, pooling=None))
        for one in (passages, queries)
    )
    return next(towers), next(towers)
