"""Whole texts of tasks, in strides: passages in front of each, found by the text before it alone.

As `ralm eval perplexity` scores them: as many tokens stand before a stride with passages as without.
"""

from collections.abc import Sequence

from lm.reader import Reader
from pipelines.evaluate.perplexity.fronts import ALONE, Arm, Fronts
from pipelines.evaluate.perplexity.protocols import FIXED
from pipelines.evaluate.perplexity.totals import Total, require_token_reader, totals
from pipelines.execution.progress import BuildProgress, Silent
from retriever.request import Search
from retriever.retriever import Retriever


class Rolling:
    """Scores whole texts behind passages, or without them from the same number of tokens.

    Raises RalmError for a reader that does not give its tokens.
    """

    def __init__(
        self, retriever: Retriever, search: Search, reader: Reader, progress: BuildProgress | None = None
    ) -> None:
        self._progress = progress or Silent()
        tokens = require_token_reader(reader)
        self.pace = FIXED.pace(reader.context_tokens)
        self._arm = Arm(search.k, search.view)
        # A store may hold a text that is scored: what holds some of it, word for word, is left out.
        self._fronts = Fronts(retriever, search, tokens, self.pace, FIXED.rules)

    def totals(self, texts: Sequence[str], passages: bool) -> list[Total]:
        """What each text scores, with passages in front of its strides or without."""
        (found,) = totals(texts, self._fronts, [self._arm if passages else ALONE], self._progress)
        return found
