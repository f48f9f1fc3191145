"""Perplexity of texts with passages and without, and with others in their place, by a protocol.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from base.errors import RalmError
from base.names import did_you_mean
from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader, require_memory
from lm.reader import card
from pipelines.config import SourceConfig
from pipelines.evaluate.perplexity.fronts import ALONE, Arm, By, Fronts
from pipelines.evaluate.perplexity.nats import FOUND, Nats
from pipelines.evaluate.perplexity.protocols import FIXED, WINDOW, Protocol
from pipelines.evaluate.perplexity.strides import Pace
from pipelines.evaluate.perplexity.texts import read_texts
from pipelines.evaluate.perplexity.totals import Total, require_token_reader, totals
from pipelines.evaluate.searching import exhaustive
from pipelines.execution.progress import BuildProgress, Silent
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.request import Method, Search

# What may stand in front of a text in place of what is found, to compare with.
CONTROLS: tuple[By, ...] = ("random", "bm25", "oracle")


@dataclass(frozen=True)
class PerplexityStudy:
    """What to measure: texts, read as a build reads its sources, by a reader, as a protocol says.

    `controls` are arms beside that of the passages which are found.
    """

    store: Path
    texts: tuple[SourceConfig, ...]
    reader: ReaderChoice = field(default_factory=ReaderChoice)
    protocol: Protocol = FIXED
    controls: tuple[By, ...] = ()
    view: View = field(default_factory=View)
    method: Method = field(default_factory=Method)
    limit: int | None = None
    encoder: str | None = None
    query_encoder: str | None = None

    def __post_init__(self) -> None:
        for one in self.controls:
            if one not in CONTROLS:
                near = did_you_mean(one, CONTROLS)
                raise RalmError(f"There is no control {one!r}: valid are {', '.join(CONTROLS)}{near}")

    @property
    def arms(self) -> dict[str, Arm]:
        """What is compared with the texts alone, by name."""
        found = Arm(self.protocol.passages, self.view)
        return {FOUND: found} | {by: replace(found, by=by) for by in self.controls}


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
            name: {
                arm: asdict(figure) | ({"change": figure.change} if arm.endswith("difference") else {})
                for arm, figure in arms.items()
            }
            for name, arms in self.measured.nats.figures().items()
        }
        protocol = self.study.protocol
        return figures | {
            "texts": len(self.measured.nats.tokens),
            "tokens": int(self.measured.nats.tokens.sum()),
            "bytes": int(self.measured.nats.bytes.sum()),
            "strides": self.measured.strides,
            "strides_without_passages": self.measured.without,
            "passage_tokens": self.measured.passage_tokens,
            "protocol": protocol.name,
            "k": protocol.passages,
            **asdict(self.pace),
            "manifest": self.manifest,
            "view": {"fraction": self.study.view.fraction, "seed": self.study.view.seed},
            "method": self.method,
            "decontaminate": list(protocol.decontaminate),
            "reader": self.reader,
            "notes": list(self.notes),
        }


def run(study: PerplexityStudy, progress: BuildProgress | None = None) -> Perplexity:
    """Measure a study. Raises RalmError for texts, a store or a reader that it cannot be measured with."""
    progress = progress or Silent()
    protocol = study.protocol
    # What no reader can hold, and unknown rules, are refused before one is loaded, which takes seconds.
    protocol.pace(2 * max(WINDOW, protocol.window or 0))
    rules = protocol.rules
    texts, notes = read_texts(study.texts, study.limit)
    require_memory(study.reader)
    how = Opening(encoder=study.encoder, query_encoder=study.query_encoder)
    retriever = LocalRetriever.open(study.store, how)
    search = retriever.settled(Search(protocol.passages, study.view, exhaustive(retriever), study.method))
    for by in study.controls:
        retriever.settled(replace(search, method=Method("bm25")) if by == "bm25" else search)
    reader = require_token_reader(open_reader(study.reader))
    pace = protocol.pace(reader.context_tokens)
    if pace.added:
        texts, notes = _long_enough(texts, notes, pace, [len(reader.tokens(text)) for text in texts])
    for note in notes:
        progress.say(note)
    fronts = Fronts(retriever, search, reader, pace, rules, protocol.depth)
    found = _measured(texts, fronts, study.arms, progress)
    return Perplexity(study, pace, found, retriever.hash, str(search.method.name), card(reader), notes)


def _long_enough(
    texts: Sequence[str], notes: tuple[str, ...], pace: Pace, tokens: Sequence[int]
) -> tuple[list[str], tuple[str, ...]]:
    """The texts that have a stride to be scored behind their first one; raises RalmError if none has."""
    kept = [text for text, count in zip(texts, tokens, strict=True) if count > pace.stride]
    if not kept:
        raise RalmError(
            f"No text has more than {pace.stride:,} tokens, behind which it is scored: give longer texts, a "
            "shorter --stride, or take --protocol fixed."
        )
    if len(kept) < len(texts):
        short = len(texts) - len(kept)
        notes = (*notes, f"{short:,} of {len(texts):,} texts are too short to be scored behind a stride.")
    return kept, notes


@dataclass(frozen=True)
class Measured:
    """What texts take in all arms, and what stood in front of their strides where passages were found.

    `passage_tokens` is the mean over the strides. `without` counts those for which no passage was found, the
    first of each text among them, if it is scored: before it stands nothing to search by.
    """

    nats: Nats
    strides: int
    without: int
    passage_tokens: float


def _measured(
    texts: Sequence[str], fronts: Fronts, arms: dict[str, Arm], progress: BuildProgress
) -> Measured:
    """Score texts alone, and behind what stands in front of each of their strides."""
    alone, *others = totals(texts, fronts, [ALONE, *arms.values()], progress)
    beside = others[0]
    strides = sum(one.strides for one in beside)
    nats = Nats(
        _nats(alone),
        {name: _nats(of_arm) for name, of_arm in zip(arms, others, strict=True)},
        np.array([one.tokens for one in beside], float),
        np.array([_scored_bytes(text, fronts) for text in texts], float),
    )
    taken = sum(one.passage_tokens for one in beside) / strides
    return Measured(nats, strides, sum(one.bare for one in beside), taken)


def _nats(of_arm: Sequence[Total]) -> Any:
    return np.array([-one.nats for one in of_arm])


def _scored_bytes(text: str, fronts: Fronts) -> int:
    """Bytes of a text that are scored: where passages are added, without those of the first stride."""
    if not fronts.pace.added:
        return len(text.encode())
    first = fronts.reader.tokens(text)[: fronts.pace.stride]
    return max(1, len(text.encode()) - len(fronts.reader.text_of(first).strip("\ufffd").encode()))
