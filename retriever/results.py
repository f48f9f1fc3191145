"""What a search gives: the hits of a query, and the seconds of each stage."""

import time
from dataclasses import dataclass, field

from datastore.schema import Passage


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
