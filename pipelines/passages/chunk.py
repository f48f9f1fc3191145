"""Documents to passages, counted in the encoder's own tokens, and the shards they fill.

Token ids are kept beside the passages (`parts.py`), so that embedding does not tokenize again.

Decisions: docs/decisions/duplicates.md, identity-and-metadata.md, passages.md.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo, save_array
from datastore.generations.manifest import CONTAMINATED_BY, PASSAGES_CUT, REPEATED_LINES
from datastore.schema import Document, Passage, identity_hash, text_hash
from pipelines.config import BuildConfig
from pipelines.contamination.contaminated import Contaminated
from pipelines.corpus.documents import batches, documents_in, identity_at, load_hashes, read_documents
from pipelines.corpus.ingestion import Ingestion, SplitStage
from pipelines.corpus.read import documents_kept
from pipelines.duplicates.dedup import By, among, load_drops, partitions_compared
from pipelines.duplicates.lines import RepeatedLines, RepeatedLineStage
from pipelines.duplicates.repeats import write_texts
from pipelines.execution.counts import Shown
from pipelines.execution.stage import REMOVED_SAMPLE, RemovedLog
from pipelines.passages.cut import Chunk, Cutter
from pipelines.passages.parts import CUT, WHOLE, ShardWriter
from pipelines.passages.unknown import counted, totals
from retriever.encoding.usage import AS_STATED, Usage

_REASONS: dict[By, str] = {"id": "duplicate_id", "text": "duplicate_text", "near": "near_duplicate"}
_DUPLICATE = {
    "duplicate_id": "an earlier document has this domain and id",
    "duplicate_text": "an earlier document has this text",
    "near_duplicate": "an earlier document has nearly this text",
}


def _passage(document: Document, number: int, one: Chunk) -> Passage:
    text = document.text[one.start : one.end]
    return Passage(text, document.domain, document.id, number, one.start, document.metadata)


def _nothing_left(document: Document, passages: int) -> tuple[str, dict[str, Any]]:
    """Why a document gives no passage, and the line about it."""
    line = {"domain": document.domain, "id": document.id}
    if not passages:
        return "no_tokens", line | {"reason": "the tokenizer finds no token in it"}
    what = "its only passage holds" if passages == 1 else f"all of its {passages} passages hold"
    return "contaminated", line | {"reason": f"{what} evaluation text"}


@dataclass(frozen=True)
class ChunkStage(SplitStage):
    """Drops a split's duplicates and cuts its other documents into the passages of its shards.

    A passage that is dropped leaves a gap: what another one is called does not depend on it.
    """

    name: ClassVar[str] = "chunk"
    unit: ClassVar[str] = "documents"
    counts: ClassVar[bool] = True
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown(REPEATED_LINES, "repeated lines, left out"),
        Shown("dropped.", "passages dropped: {reason}"),
        Shown(CONTAMINATED_BY, "  for {name}"),
    )
    layout: Layout
    config: BuildConfig
    documents: tuple[int, ...]
    # Ways in which duplicates were found, and the partitions of each.
    partitions: Mapping[By, int]
    # The n-grams of evaluation texts that no passage may hold.
    table: Path | None = None
    # In which repeated lines were looked for; 0 if they stay.
    line_ranges: int = 0
    usage: Usage = AS_STATED
    # The name of each split's source.
    sources: tuple[str, ...] = ()

    @classmethod
    def of(cls, ingestion: Ingestion) -> "ChunkStage":
        lines = RepeatedLineStage.of(ingestion).ranges if RepeatedLineStage.asked(ingestion) else 0
        return cls(
            ingestion.layout,
            ingestion.config,
            documents_kept(ingestion),
            partitions_compared(ingestion),
            ingestion.held.contamination,
            lines,
            ingestion.usage,
            ingestion.corpus.sources_of_splits,
        )

    @classmethod
    def totals(cls, ingestion: Ingestion) -> Mapping[str, int]:
        if ingestion.config.drops_passages:
            return {}  # Those of what is left are another stage's.
        return totals(ingestion.corpus.sources_of_splits, ingestion.markers(cls))

    def sizes(self) -> Sequence[int]:
        return self.documents

    @property
    def drops(self) -> bool:
        """Whether passages may be dropped, here or later."""
        return self.table is not None or self.config.drops_passages

    @property
    def _by_text(self) -> list[By]:
        return [by for by in self.partitions if by != "id"]

    def run(self, number: int) -> Marker:
        counts = {"indexed": 0, "passages": 0, "tokens": 0, "truncated": 0}
        if self.drops:
            counts[PASSAGES_CUT] = 0
        removed, contaminated = RemovedLog(self.layout, number), Contaminated(self.layout, number, self.table)
        folder = CUT if self.config.drops_passages else WHOLE
        shards = ShardWriter(self.layout, number, self.config.passages_per_shard, folder)
        lines = RepeatedLines(self.layout, number, self.line_ranges)
        hashes, lost = array("Q"), list[tuple[int, int]]()
        for documents in batches(self._unique(number, removed, lines, lost)):
            cut = [self._cut(document) for document in documents]
            if self.drops:
                counts[PASSAGES_CUT] += sum(map(len, cut))
            clean = iter(contaminated.without([passage for each in cut for passage, _ in each]))
            for document, every in zip(documents, cut, strict=True):
                kept = [one for one in every if next(clean)]
                if not kept:
                    removed.add(*_nothing_left(document, len(every)))
                    continue
                self._count(counts, number, document, [ids for _, ids in kept])
                for passage, ids in kept:
                    shards.add(passage, ids)
                    if self.config.drops_passages:
                        hashes.extend((*text_hash(passage.text), len(hashes) // 3))
        counts |= (
            {f"removed.{name}": n for name, n in removed.counts.items()} | contaminated.counts | lines.counts
        )
        files = [
            *shards.finish(),
            self._hashes(number, lost),
            *removed.write(),
            *contaminated.write(),
            *lines.write(),
        ]
        if self.config.drops_passages:
            files.append(write_texts(self.layout, "passage", number, hashes))
        return Marker(counts, tuple(files))

    def _cut(self, document: Document) -> list[tuple[Passage, NDArray[np.int32]]]:
        """A document's passages with their token ids."""
        chunks = Cutter.of(self.config, self.usage).chunks(document.text)
        return [(_passage(document, number, one), one.ids) for number, one in enumerate(chunks)]

    def _count(
        self, counts: dict[str, int], number: int, document: Document, ids: list[NDArray[np.int32]]
    ) -> None:
        """Add a document of which some passages stay."""
        cutter = Cutter.of(self.config, self.usage)
        counts["indexed"] += 1
        counts["passages"] += len(ids)
        counts["tokens"] += sum(map(len, ids))
        counts["truncated"] += sum(len(one) > cutter.room for one in ids)
        for name in (f"domain.{document.domain}", *(f"column.{c}" for c in document.metadata)):
            counts[name] = counts.get(name, 0) + len(ids)
        if self.sources:
            for name, count in counted(cutter.tokenizer, self.sources[number], ids).items():
                counts[name] = counts.get(name, 0) + count

    def _hashes(self, number: int, lost: list[tuple[int, int]]) -> FileInfo:
        """Keep what a later addition is compared with: every identity, and every text that the store has.

        A document dropped for its text stands for no text of its own: the one kept may be taken down. Nor
        does one that has lost all to others: they may be taken down, too. (Evaluation texts may not.)
        """
        hashes = np.array(load_hashes(self.layout, number))
        unique = np.ones(len(hashes), bool)
        unique[load_drops(self.layout, "id", number, self.partitions["id"])[:, 1]] = False
        for by in self._by_text:
            hashes[load_drops(self.layout, by, number, self.partitions[by])[:, 1], 2:] = 0
        hashes = without_texts(hashes[unique], lost)
        path = self.layout.documents(number)
        if self.config.drops_passages:  # Which may cost others all that they have.
            path = cut_documents_path(self.layout, number)
        return self.layout.write(path, lambda handle: save_array(handle, hashes))

    def _unique(
        self, number: int, removed: RemovedLog, lines: RepeatedLines, lost: list[tuple[int, int]]
    ) -> Iterator[Document]:
        """The documents that are no duplicates, without lines that occurred before; `lost` had no other."""
        drops: dict[int, tuple[str, int, int]] = {}
        for by, partitions in self.partitions.items():
            for _, row, split, kept in load_drops(self.layout, by, number, partitions).tolist():
                drops[row] = (_REASONS[by], split, kept)
        for row, document in enumerate(read_documents(self.layout, number)):
            if row in drops:
                self._drop(document, *drops[row], removed)
            elif (left := lines.without(document, row)) is not None:
                yield left
            else:
                line = {"domain": document.domain, "id": document.id}
                removed.add("no_new_line", line | {"reason": "all of its lines occurred before"})
                lost.append(identity_hash(document.domain, document.id))

    def _drop(self, document: Document, reason: str, split: int, kept: int, removed: RemovedLog) -> None:
        """Count a duplicate and say of what."""
        line: dict[str, Any] = {"domain": document.domain, "id": document.id}
        if split < 0:
            line |= {"reason": f"{_DUPLICATE[reason]}, of those the store was given before"}
        elif removed.counts.get(reason, 0) < REMOVED_SAMPLE:
            domain, doc_id = identity_at(documents_in(self.layout, split), kept)
            line |= {"reason": _DUPLICATE[reason], "kept": {"domain": domain, "id": doc_id}}
        removed.add(reason, line)


def cut_documents_path(layout: Layout, split: int) -> Path:
    """Where the hashes of a split's documents lie until its repeated passages are dropped."""
    return layout.work / CUT / f"{split:05d}.documents.npy"


def without_texts(hashes: NDArray[np.uint64], lost: Sequence[tuple[int, int]]) -> NDArray[np.uint64]:
    """Hashes of documents [n, 4], those of the texts of some (by identity) blotted out."""
    gone = among(hashes[:, :2], np.array(lost, np.uint64).reshape(-1, 2))
    blotted = hashes.copy()
    blotted[gone, 2:] = 0
    return blotted
