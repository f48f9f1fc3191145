"""Passages for texts: each distinct text is searched for once, all of them together. Knows no task."""

from collections.abc import Iterable

from lm.conditioning import Source
from pipelines.execution.progress import BuildProgress, Silent, shown
from retriever.request import Search
from retriever.retriever import Retriever
from serve.answering.answerer import source_of

# Texts that are searched for between two words of how far it has come.
_TOGETHER = 128


class Finder:
    """Finds passages as one search asks for them, and keeps them."""

    def __init__(self, retriever: Retriever, search: Search, progress: BuildProgress | None = None) -> None:
        self.retriever, self.search = retriever, retriever.settled(search)
        self._progress = progress or Silent()
        self._found: dict[str, tuple[Source, ...]] = {}

    def find(self, texts: Iterable[str]) -> dict[str, tuple[Source, ...]]:
        """Passages of each text, best first: none where encoder and words know nothing of it."""
        new = [text for text in dict.fromkeys(texts) if text not in self._found]
        if new:
            asked = self.retriever.answerable(new, [self.search.view], self.search)
            self._found |= dict.fromkeys(new, ())
            self._search([text for text, one in zip(new, asked.tolist(), strict=True) if one])
        return self._found

    def _search(self, texts: list[str]) -> None:
        with shown(self._progress, "search", "questions", len(texts)):
            for at in range(0, len(texts), _TOGETHER):
                some = texts[at : at + _TOGETHER]
                for text, ranking in zip(some, self.retriever.search(some, self.search), strict=True):
                    self._found[text] = tuple(source_of(hit) for hit in ranking.hits)
                self._progress.advance(len(some))
