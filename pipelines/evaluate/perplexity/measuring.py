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
from lm.reader import Reader, TokenReader, Windows, card
from pipelines.config import SourceConfig
from pipelines.evaluate.perplexity.nats import Nats
from pipelines.evaluate.perplexity.strides import NOTHING, Front, Pace, Step, steps
from pipelines.evaluate.perplexity.texts import read_texts
from pipelines.evaluate.samples import exhaustive
from pipelines.execution.progress import BuildProgress, Silent, shown
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.refinement import Decontamination, Refinement
from retriever.request import Method, Search
from retriever.results import Hit
from retriever.retriever import Retriever
from serve.answering.answerer import source_of

WINDOW = 1024
# Steps that are searched and scored together.
_TOGETHER = 32


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


def _measured(texts: Sequence[str], fronts: "Fronts", progress: BuildProgress) -> Measured:
    """Score texts behind what stands in front of each of their strides, and without that."""
    reader, pace = fronts.reader, fronts.pace
    todo = [(at, one) for at, text in enumerate(texts) for one in steps(reader.tokens(text), pace.stride)]
    nats, tokens = np.zeros((2, len(texts))), np.zeros(len(texts))
    before: list[Front] = []
    with shown(progress, "score", "strides", len(todo)):
        for first in range(0, len(todo), _TOGETHER):
            some = todo[first : first + _TOGETHER]
            passages = fronts.before([one for _, one in some], [texts[at] for at, _ in some])
            rows = [one.row(pace, reader.start, NOTHING) for _, one in some]
            rows += [
                one.row(pace, reader.start, front) for (_, one), front in zip(some, passages, strict=True)
            ]
            for place, scored in enumerate(reader.score(rows)):
                at, one = some[place % len(some)]
                nats[place // len(some), at] -= sum(scored)
            for at, one in some:
                tokens[at] += one.end - one.done
            before += passages
            progress.advance(len(some))
    sizes = np.array([len(text.encode()) for text in texts], float)
    taken = sum(len(front.ids) for front in before) / len(todo)
    without = sum(not front.passages for front in before)
    return Measured(Nats(nats[1], nats[0], tokens, sizes), len(todo), without, taken)


def require_token_reader(reader: Reader) -> TokenReader:
    """A reader in whose tokens texts can be put together. Raises RalmError for another."""
    if isinstance(reader, TokenReader):
        return reader
    raise RalmError(
        f"{reader.name} does not give its tokens, by which windows are measured: choose a reader that runs "
        "in this process."
    )


@dataclass(frozen=True)
class Fronts:
    """Finds what stands in front of strides: passages of a store, by the text before each."""

    retriever: Retriever
    search: Search
    reader: TokenReader
    pace: Pace

    def before(self, some: Sequence[Step], texts: Sequence[str]) -> list[Front]:
        """The passages in front of each step; `texts` are those that it is a step of.

        Passages are found by the text before a step. By the whole text those are left out that hold some of
        it word for word.
        """
        queries = [self.reader.text_of(step.query(self.pace)).strip("\ufffd") for step in some]
        asked = self._answerable(queries)
        fronts = [NOTHING] * len(some)
        if asked:
            of_each = [[texts[at]] for at in asked]
            rankings = self.retriever.search([queries[at] for at in asked], self.search, of_each)
            for at, ranking in zip(asked, rankings, strict=True):
                fronts[at] = Front.of([self._block(hit) for hit in ranking.hits], self.pace.front)
        return fronts

    def _answerable(self, queries: Sequence[str]) -> list[int]:
        """Which queries can be asked: none of white space, nor of what the encoder does not know."""
        some = [at for at, query in enumerate(queries) if query.strip()]
        if not some:
            return []
        try:
            known = self.retriever.answerable([queries[at] for at in some], [self.search.view], self.search)
        except RalmError:
            return []  # It says so if it would refuse them all.
        return [at for at, one in zip(some, known.tolist(), strict=True) if one]

    def _block(self, hit: Hit) -> tuple[int, ...]:
        """A passage as it stands in front of a text."""
        source = source_of(hit)
        title = f"{source.title}: " if source.title else ""
        return self.reader.tokens(f"{title}{source.text}\n\n")
