"""What a task drops of passages that hold evaluation text: counted for each file of questions, and listed."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datastore.files.layout import Layout
from datastore.files.writing import FileInfo
from datastore.generations.manifest import CONTAMINATED, CONTAMINATED_BY
from datastore.schema import Passage
from pipelines.contamination.matcher import Match, Matcher
from pipelines.execution.stage import REMOVED_SAMPLE, RemovedLog
from retriever.words import words


class Contaminated:
    """What one task drops for the evaluation texts that it holds; nothing without a table.

    `counts` are of passages: all that are dropped, and those that each file alone would have cost. A passage
    that two files have text in counts for both.
    """

    def __init__(self, layout: Layout, number: int, table: Path | None) -> None:
        self._texts = Matcher.opened(table) if table else None
        self._log = RemovedLog(layout, number)
        self.counts: dict[str, int] = {}
        if self._texts:
            self.counts = dict.fromkeys(
                [CONTAMINATED, *(f"{CONTAMINATED_BY}{file}" for file in self._texts.files)], 0
            )

    def without(self, passages: Sequence[Passage]) -> list[bool]:
        """Which passages stay; the others are counted and, some for each file, listed."""
        if self._texts is None:
            return [True] * len(passages)
        found = self._texts.matches([passage.text for passage in passages])
        for passage, held in zip(passages, found, strict=True):
            if held:
                self._drop(passage, held)
        return [not held for held in found]

    def _drop(self, passage: Passage, held: list[Match]) -> None:
        files = [f"{CONTAMINATED_BY}{one.file}" for one in held]
        listed = any(self.counts[file] < REMOVED_SAMPLE for file in files)
        for name in (CONTAMINATED, *files):
            self.counts[name] += 1
        line: dict[str, Any] = {"domain": passage.domain, "id": passage.doc_id, "chunk": passage.chunk}
        if listed:
            line |= {"holds": [_in_words(one, words(passage.text)) for one in held]}
        self._log.add("contaminated_passage", line, None if listed else 0)

    def write(self) -> list[FileInfo]:
        """Write what is listed."""
        return self._log.write()


def _in_words(match: Match, held: Sequence[str]) -> dict[str, Any]:
    """What is listed of an evaluation text that a passage with these words holds."""
    begin, end = match.span
    line = asdict(match) | {"words": " ".join(held[begin:end])}
    return {name: value for name, value in line.items() if name != "span"}
