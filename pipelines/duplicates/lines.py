"""Lines that occurred before in the corpus, be it in the same document, and texts without them.

As CCNet and Dolma do with paragraphs (Wenzek et al. 2020; Soldaini et al. 2024): what a site puts under each
of its pages stays once. Lines are compared as they are, white space aside; short ones (headings, cells,
dialogue) stay.

Decisions: docs/decisions/duplicates.md.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo
from datastore.generations.manifest import LINES_COMPARED, REPEATED_LINES
from datastore.schema import Document, text_hash
from pipelines.config import DuplicateLines
from pipelines.corpus.documents import load_hashes, read_documents
from pipelines.corpus.ingestion import Ingestion, SplitStage
from pipelines.corpus.read import documents_kept
from pipelines.duplicates.dedup import By, load_drops, partitions_compared
from pipelines.duplicates.repeats import RepeatStage, What, load_texts, write_sorted, write_texts
from pipelines.execution.stage import RemovedLog

# A line's place in its split: the document's row, then the line's number.
_LINE_BITS = 32


@dataclass(frozen=True)
class LineStage(SplitStage):
    """Hashes the lines of a split's documents that are no duplicates."""

    name: ClassVar[str] = "lines"
    unit: ClassVar[str] = "documents"
    layout: Layout
    settings: DuplicateLines
    documents: tuple[int, ...]
    # Ways in which duplicates were found, and the partitions of each.
    partitions: Mapping[By, int]

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return ingestion.config.duplicate_lines is not None

    @classmethod
    def of(cls, ingestion: Ingestion) -> "LineStage":
        settings = ingestion.config.duplicate_lines
        assert settings is not None  # Else the job has no such stage.
        return cls(ingestion.layout, settings, documents_kept(ingestion), partitions_compared(ingestion))

    @classmethod
    def totals(cls, ingestion: Ingestion) -> Mapping[str, int]:
        return {LINES_COMPARED: sum(marker.counts["lines"] for marker in ingestion.markers(cls))}

    def sizes(self) -> Sequence[int]:
        return self.documents

    def run(self, number: int) -> Marker:
        keep = np.ones(self.documents[number], bool)
        for by, partitions in self.partitions.items():
            keep[load_drops(self.layout, by, number, partitions)[:, 1]] = False
        hashes = array("Q")  # 24 bytes a line, where tuples would take 200.
        for row, document in enumerate(read_documents(self.layout, number)):
            for at, line in enumerate(document.text.split("\n") if keep[row] else ()):
                if len(line.strip()) >= self.settings.min_chars:
                    hashes.extend((*text_hash(line), row << _LINE_BITS | at))
        info = write_texts(self.layout, "line", number, hashes)
        return Marker({"lines": len(hashes) // 3}, (info,))


class RepeatedLineStage(RepeatStage):
    """Finds the lines that occurred before, in one range of hashes."""

    name: ClassVar[str] = "dedup-line"
    unit: ClassVar[str] = "lines"
    what: ClassVar[What] = "line"

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return LineStage.asked(ingestion)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "RepeatedLineStage":
        lines = tuple(marker.counts["lines"] for marker in ingestion.markers(LineStage))
        return cls(ingestion.layout, lines, ingestion.held)


class RepeatedLines:
    """The lines of one split that occurred before; none where they were not looked for."""

    def __init__(self, layout: Layout, split: int, ranges: int) -> None:
        """`ranges` in which they were looked for: 0 if they were not."""
        self._layout, self._split = layout, split
        # Ascending, so that those of a document are one stretch.
        self._places = load_drops(layout, "line", split, ranges)[:, 1]
        self._listed = RemovedLog(layout, split)
        self.counts = {REPEATED_LINES: 0} if ranges else {}

    def without(self, document: Document, row: int) -> Document | None:
        """A document without its repeated lines; None if it has no other text."""
        begin, end = np.searchsorted(self._places, [row << _LINE_BITS, (row + 1) << _LINE_BITS])
        if begin == end:
            return document
        gone = {place & ((1 << _LINE_BITS) - 1) for place in self._places[begin:end].tolist()}
        self.counts[REPEATED_LINES] += len(gone)
        for at in sorted(gone):
            self._listed.add("repeated_line", {"domain": document.domain, "id": document.id, "line": at + 1})
        lines = [line for at, line in enumerate(document.text.split("\n")) if at not in gone]
        return replace(document, text="\n".join(lines)) if any(map(str.strip, lines)) else None

    def write(self) -> list[FileInfo]:
        """Write which lines were left out, some of them, and hashes of all that stay."""
        return [*self._listed.write(), *([self._known()] if self.counts else [])]

    def _known(self) -> FileInfo:
        """Keep what lines of a later addition are compared with: uint64 [lines, 4], text and identity."""
        found = load_texts(self._layout, "line", self._split)
        stay = found[~np.isin(found[:, 2], self._places.astype(np.uint64))]
        identities = load_hashes(self._layout, self._split)[stay[:, 2] >> np.uint64(_LINE_BITS), :2]
        rows = np.column_stack([stay[:, :2], identities])
        return write_sorted(self._layout, self._layout.line_hashes(self._split), rows)
