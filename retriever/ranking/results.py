"""What a search is asked by and what it gives: the method, the hits of a query, the seconds of each stage."""

import time
from dataclasses import dataclass, field
from typing import Literal

from base.errors import RalmError
from base.names import did_you_mean
from datastore.schema import Passage
from retriever.ranking.fusion import Fusion


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
                near = did_you_mean(value, valid)
                raise RalmError(f"Unknown {what} {value!r}: valid are {', '.join(valid)}{near}")
        if not 0 <= self.weight <= 1:
            raise RalmError(f"The weight of the dense scores must be between 0 and 1, not {self.weight}.")


DENSE = Method()


@dataclass(frozen=True, slots=True)
class Setting:
    """How hard a search tries: lists probed (0: all there is), and vectors re-scored exactly (0: none)."""

    nprobe: int
    depth: int


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

    def of(self, stage: str) -> "_Stage":
        """Add the time of what is done within to a stage."""
        return _Stage(self.stages, stage)


class _Stage:
    """A class and no generator, which takes three times as long: a search has some of them."""

    __slots__ = ("_name", "_stages", "_started")

    def __init__(self, stages: dict[str, float], name: str) -> None:
        self._stages, self._name = stages, name

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        taken = time.perf_counter() - self._started
        self._stages[self._name] = self._stages.get(self._name, 0.0) + taken
