"""Perplexity of texts with passages and without, from the same number of tokens before each.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from base.errors import RalmError
from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.reader import Windows, card
from pipelines.config import SourceConfig
from pipelines.evaluate.perplexity.nats import Nats
from pipelines.evaluate.perplexity.strides import Pace
from pipelines.evaluate.perplexity.texts import read_texts
from pipelines.evaluate.perplexity.totals import Fronts, require_token_reader, totals
from pipelines.evaluate.searching import exhaustive
from pipelines.execution.progress import BuildProgress, Silent
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.refinement import Decontamination, Refinement
from retriever.request import Method, Search

WINDOW = 1024


@dataclass(frozen=True)
class PerplexityStudy:
    """What to measure: texts, read as a build reads its sources, by a reader with the `passages` of a store.

    `window`, `stride` and `query` are tokens; a window left out is 1,024, or what the reader holds. Passages
    that hold some of the text that is scored are left out as `decontaminate` says; None leaves them in.
    """

    store: Path
    texts: tuple[SourceConfig, ...]
    reader: ReaderChoice = field(default_factory=ReaderChoice)
    passages: int = 1
    stride: int = 64
    window: int | None = None
    query: int = 32
    view: View = field(default_factory=View)
    method: Method = field(default_factory=Method)
    decontaminate: str | None = "overlap"
    limit: int | None = None
    encoder: str | None = None
    query_encoder: str | None = None

    def pace(self, longest: int) -> Pace:
        """Its windows and strides, in a reader that holds so many tokens."""
        window = min(WINDOW, longest) if self.window is None else self.window
        return Pace(*Windows(window, self.stride).within(longest), self.query)


@dataclass(frozen=True)
class Perplexity:
    """What a study has measured, and all that it depends on."""

    study: PerplexityStudy
    pace: Pace
    measured: "Measured"
    manifest: str
    method: str
    reader: dict[str, str | int | None]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it, by names."""
        figures = {
            name: {arm: asdict(figure) for arm, figure in arms.items()}
            for name, arms in self.measured.nats.figures().items()
        }
        return figures | {
            "texts": len(self.measured.nats.tokens),
            "tokens": int(self.measured.nats.tokens.sum()),
            "bytes": int(self.measured.nats.bytes.sum()),
            "strides": self.measured.strides,
            "strides_without_passages": self.measured.without,
            "passage_tokens": self.measured.passage_tokens,
            "k": self.study.passages,
            **asdict(self.pace),
            "manifest": self.manifest,
            "view": {"fraction": self.study.view.fraction, "seed": self.study.view.seed},
            "method": self.method,
            "decontaminate": self.study.decontaminate,
            "reader": self.reader,
            "notes": list(self.notes),
        }


def run(study: PerplexityStudy, progress: BuildProgress | None = None) -> Perplexity:
    """Measure a study. Raises RalmError for texts, a store or a reader that it cannot be measured with."""
    progress = progress or Silent()
    if study.passages < 1:
        raise RalmError(f"-k, the passages in front of a text, must be at least 1, not {study.passages}.")
    # What no reader can hold is refused before one is loaded, which takes seconds.
    study.pace(max(WINDOW, study.window or 0))
    filters = Decontamination.by(study.decontaminate) if study.decontaminate else None
    texts, notes = read_texts(study.texts, study.limit)
    for note in notes:
        progress.say(note)
    how = Opening(encoder=study.encoder, query_encoder=study.query_encoder)
    retriever = LocalRetriever.open(study.store, how)
    search = retriever.settled(
        Search(study.passages, study.view, exhaustive(retriever), study.method, Refinement(None, filters))
    )
    reader = require_token_reader(open_reader(study.reader))
    pace = study.pace(reader.context_tokens)
    found = _measured(texts, Fronts(retriever, search, reader, pace), progress)
    return Perplexity(study, pace, found, retriever.hash, str(search.method.name), card(reader), notes)


@dataclass(frozen=True)
class Measured:
    """What texts take in both arms, and what stood in front of their strides.

    `passage_tokens` is the mean over the strides. `without` counts those for which no passage was found, the
    first of each text among them: before it stands nothing to search by.
    """

    nats: Nats
    strides: int
    without: int
    passage_tokens: float


def _measured(texts: Sequence[str], fronts: Fronts, progress: BuildProgress) -> Measured:
    """Score texts without passages, and behind those that stand in front of each of their strides."""
    alone = totals(texts, fronts, progress, passages=False)
    beside = totals(texts, fronts, progress)
    strides = sum(one.strides for one in beside)
    nats = Nats(
        np.array([-one.nats for one in beside]),
        np.array([-one.nats for one in alone]),
        np.array([one.tokens for one in beside], float),
        np.array([len(text.encode()) for text in texts], float),
    )
    taken = sum(one.passage_tokens for one in beside) / strides
    return Measured(nats, strides, sum(one.bare for one in beside), taken)
