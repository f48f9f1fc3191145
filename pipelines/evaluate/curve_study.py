"""What is to be measured."""

from dataclasses import dataclass
from pathlib import Path

from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from lm.conditioning import Conditioning
from retriever.request import DENSE, Method


@dataclass(frozen=True)
class Study:
    """What to measure; `encoder` and `query_encoder` are where the store's own lie, if they have moved."""

    store: Path
    questions: Path
    output: Path
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    seeds: int = 3
    reader: ReaderChoice | None = None
    reader_questions: int = 100
    conditioning: Conditioning = Conditioning()
    limit: int | None = None
    method: Method = DENSE
    encoder: str | None = None
    query_encoder: str | None = None

    @property
    def views(self) -> tuple[View, ...]:
        """One view for the whole store, and one for each seed of a smaller fraction."""
        return tuple(
            View(fraction, seed)
            for fraction in self.fractions
            for seed in range(self.seeds if fraction < 1 else 1)
        )
