"""Whole texts of tasks, in strides: passages in front of each, found by the text before it alone.

As `ralm eval perplexity` scores them: as many tokens stand before a stride with passages as without.
"""

from collections.abc import Sequence
from dataclasses import replace

from lm.reader import Reader, Windows
from pipelines.evaluate.perplexity.measuring import WINDOW, PerplexityStudy
from pipelines.evaluate.perplexity.strides import Pace
from pipelines.evaluate.perplexity.totals import Fronts, Total, require_token_reader, totals
from pipelines.execution.progress import BuildProgress, Silent
from retriever.refinement import Decontamination, Refinement
from retriever.request import Search
from retriever.retriever import Retriever

# A store may hold a text that is scored: what holds some of it, word for word, is left out.
_FILTER = Refinement(None, Decontamination.by("overlap"))


class Rolling:
    """Scores whole texts behind passages, or without them from the same number of tokens.

    Raises RalmError for a reader that does not give its tokens.
    """

    def __init__(
        self, retriever: Retriever, search: Search, reader: Reader, progress: BuildProgress | None = None
    ) -> None:
        self._progress = progress or Silent()
        tokens = require_token_reader(reader)
        window = Windows(min(WINDOW, reader.context_tokens), PerplexityStudy.stride)
        self.pace = Pace(*window.within(reader.context_tokens), PerplexityStudy.query)
        self._fronts = Fronts(retriever, replace(search, refinement=_FILTER), tokens, self.pace)

    def totals(self, texts: Sequence[str], passages: bool) -> list[Total]:
        """What each text scores, with passages in front of its strides or without."""
        return totals(texts, self._fronts, self._progress, passages)
