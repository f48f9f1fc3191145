"""What a search is asked by and what it gives: the method, the hits of a query, the seconds of each stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from datastore.errors import RalmError
from datastore.schema import Passage
from retriever.fusion import Fusion


@dataclass(frozen=True, slots=True)
class Method:
    """What a passage is found by: embeddings ("dense"), words ("bm25") or both ("hybrid").

    `fusion` and `weight` (of the dense scores) say how "hybrid" joins the two.
    """

    name: Literal["dense", "bm25", "hybrid"] = "dense"
    fusion: Fusion = "weighted"
    weight: float = 0.5

    def __post_init__(self) -> None:
        for what, value, valid in (
            ("method", self.name, ("dense", "bm25", "hybrid")),
            ("fusion", self.fusion, ("rrf", "weighted")),
        ):
            if value not in valid:
                raise RalmError(f"Unknown {what} {value!r}: valid are {', '.join(valid)}.")
        if not 0 <= self.weight <= 1:
            raise RalmError(f"The weight of the dense scores must be between 0 and 1, not {self.weight}.")


DENSE = Method()


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved passage: its row id, its score, and itself.

    The score is an inner product, BM25 or a fused one: they do not compare with each other. `generation` and,
    where several stores are searched, `store` say whose row it is.
    """

    row: int
    score: float
    passage: Passage
    generation: int = field(default=0, compare=False)
    store: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The hits of one query, best first; `exhausted` says that the lists probed hold fewer than asked.

    `missing` names the shards that gave no answer: those of a cluster's lost searchers.
    """

    hits: tuple[Hit, ...]
    exhausted: bool
    missing: tuple[int, ...] = ()


@dataclass
class Seconds:
    """How long each stage of a search took, in seconds."""

    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Add the time of what is done within to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - started
