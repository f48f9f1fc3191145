"""Whole texts of tasks, in strides: passages in front of each, found by the text before it alone.

As `ralm eval perplexity` scores them: as many tokens stand before a stride with passages as without.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lm.reader import Reader, Windows
from pipelines.evaluate.perplexity.measuring import WINDOW, Fronts, PerplexityStudy, require_token_reader
from pipelines.evaluate.perplexity.strides import NOTHING, Front, Pace, Step, steps
from pipelines.execution.progress import BuildProgress, Silent, shown
from retriever.refinement import Decontamination, Refinement
from retriever.request import Search
from retriever.retriever import Retriever

# Strides that are searched for and scored together.
_TOGETHER = 128
# A store may hold a text that is scored: what holds some of it, word for word, is left out.
_FILTER = Refinement(None, Decontamination.by("overlap"))


@dataclass
class Total:
    """The log-probability of a text in nats, in how many strides, and how many of these got no passage."""

    nats: float = 0.0
    strides: int = 0
    bare: int = 0


class Rolling:
    """Scores whole texts behind passages, or without them from the same number of tokens.

    Raises RalmError for a reader that does not give its tokens.
    """

    def __init__(
        self, retriever: Retriever, search: Search, reader: Reader, progress: BuildProgress | None = None
    ) -> None:
        self._reader, self._progress = require_token_reader(reader), progress or Silent()
        window = Windows(min(WINDOW, reader.context_tokens), PerplexityStudy.stride)
        self.pace = Pace(*window.within(reader.context_tokens), PerplexityStudy.query)
        self._fronts = Fronts(retriever, replace(search, refinement=_FILTER), self._reader, self.pace)

    def totals(self, texts: Sequence[str], passages: bool) -> list[Total]:
        """What each text scores, with passages in front of its strides or without."""
        found = [Total() for _ in texts]
        todo = [
            (at, one)
            for at, text in enumerate(texts)
            for one in steps(self._reader.tokens(text), self.pace.stride)
        ]
        with shown(self._progress, "score", "strides", len(todo)):
            for first in range(0, len(todo), _TOGETHER):
                some = todo[first : first + _TOGETHER]
                fronts = self._before(some, texts) if passages else [NOTHING] * len(some)
                rows = [
                    one.row(self.pace, self._reader.start, front)
                    for (_, one), front in zip(some, fronts, strict=True)
                ]
                scored = self._reader.score(rows)
                for (at, _), front, nats in zip(some, fronts, scored, strict=True):
                    found[at].nats += sum(nats)
                    found[at].strides += 1
                    found[at].bare += not front.passages
                self._progress.advance(len(some))
        return found

    def _before(self, some: Sequence[tuple[int, Step]], texts: Sequence[str]) -> list[Front]:
        return self._fronts.before([one for _, one in some], [texts[at] for at, _ in some])
