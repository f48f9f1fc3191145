"""The first two stages: count lines where a file is cut, then read and filter every split.

A split's documents, those that no filter removes, go to `work/` (`documents.py`); what is no document is
counted and listed. Knows neither how a format is read nor what a filter asks.

Decisions: docs/decisions/passages.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import save_array
from datastore.generations.manifest import DOUBTFUL
from datastore.schema import (
    Document,
    identity_hash,
    text_hash,
)
from datastore.takedown import Takedowns
from pipelines.config import BuildConfig
from pipelines.corpus.documents import batches, documents_path, hashes_path, write_documents
from pipelines.corpus.ingestion import Ingestion, IngestStage, SplitStage
from pipelines.corpus.sources import Corpus, Split
from pipelines.execution.counts import Shown
from pipelines.execution.markers import markers_of
from pipelines.execution.stage import RemovedLog
from pipelines.filters.chain import NOBODY, Chain, Removed
from pipelines.filters.length import Length
from pipelines.readers.bytes.lines import count_newlines
from pipelines.readers.metadata import LeftOut
from pipelines.readers.records import Blank, Doubtful, Intake, Record, Skipped, Unreadable

# Counts the fields that are not among their documents' metadata, by what was wrong with them.
LEFT_OUT = "left_out."

# Documents that filters look at together.
_JUDGED_DOCUMENTS = 256
_JUDGED_CHARACTERS = 1 << 18


@dataclass(frozen=True)
class ScanStage(IngestStage):
    """Counts the lines of splits that are part of a file, so that records can be numbered."""

    name: ClassVar[str] = "scan"
    unit: ClassVar[str] = "bytes"
    layout: Layout
    splits: tuple[Split, ...]

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return any(split.partial for split in ingestion.corpus.splits)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "ScanStage":
        return cls(ingestion.layout, tuple(s for s in ingestion.corpus.splits if s.partial))

    def sizes(self) -> Sequence[int]:
        return [split.bytes for split in self.splits]

    def run(self, number: int) -> Marker:
        (segment,) = self.splits[number].segments
        return Marker({"lines": count_newlines(segment.path, segment.begin, segment.end)})


def number_records(corpus: Corpus, scanned: Sequence[Marker]) -> Corpus:
    """Give every partial split the number of lines before it: prefix sums over the scan's counts."""
    before: dict[str, int] = {}
    numbered: dict[int, Split] = {}
    partial = [split for split in corpus.splits if split.partial]
    for split, marker in zip(partial, scanned, strict=True):
        (segment,) = split.segments
        first = before.get(segment.path, 0)
        before[segment.path] = first + marker.counts["lines"]
        numbered[split.number] = replace(split, segments=(replace(segment, first_record=first),))
    return replace(corpus, splits=tuple(numbered.get(s.number, s) for s in corpus.splits))


@dataclass(frozen=True)
class ReadStage(SplitStage):
    """Reads a split, filters its documents and writes what is kept."""

    name: ClassVar[str] = "read"
    unit: ClassVar[str] = "bytes"
    counts: ClassVar[bool] = True
    shows: ClassVar[tuple[Shown, ...]] = (
        Shown(DOUBTFUL, "documents doubtful (damage)", if_any=True),
        Shown(LEFT_OUT, "fields left out: {reason}"),
    )
    layout: Layout
    config: BuildConfig
    corpus: Corpus
    takedowns: tuple[Path, ...] = ()

    @classmethod
    def of(cls, ingestion: Ingestion) -> "ReadStage":
        corpus = ingestion.corpus
        if ScanStage.asked(ingestion):
            corpus = number_records(corpus, ingestion.markers(ScanStage))
        return cls(ingestion.layout, ingestion.config, corpus, ingestion.held.takedowns)

    @property
    def in_order(self) -> bool:
        """A limit is spent in the order of the splits."""
        return self.config.limit is not None

    def sizes(self) -> Sequence[int]:
        return [split.bytes for split in self.corpus.splits]

    def run(self, number: int) -> Marker:
        split = self.corpus.splits[number]
        counts = dict.fromkeys(("records", "blank", "unreadable", "documents", "kept", "dropped_lines"), 0)
        removed = RemovedLog(self.layout, number)
        hashes: list[tuple[int, int, int, int]] = []
        chain = chain_of(self.config, split.source, Takedowns.read(self.takedowns))
        left_out = LeftOutFields(RemovedLog(self.layout, number), counts)
        doubtful: list[Doubtful] = []
        kept = _kept(self._records(split, left_out, doubtful), chain, counts, removed, hashes)
        documents = self.layout.write(
            documents_path(self.layout, number), lambda handle: write_documents(handle, kept)
        )
        array = np.array(hashes, np.uint64).reshape(-1, 4)
        arrays = self.layout.write(hashes_path(self.layout, number), lambda handle: save_array(handle, array))
        skipped = sum(n for name, n in counts.items() if name.startswith("skipped."))
        counts["records"] = counts["documents"] + counts["unreadable"] + skipped
        counts |= {f"removed.{name}": n for name, n in removed.counts.items() if name != "unreadable"}
        for one in doubtful:
            # Listed beside what was removed, though it was not.
            removed.add(DOUBTFUL, asdict(one), sample=None)
            counts[DOUBTFUL] = counts.get(DOUBTFUL, 0) + one.documents
        return Marker(counts, (documents, arrays, *removed.write(), *left_out.listed.write()))

    def _records(self, split: Split, left_out: "LeftOutFields", doubtful: list[Doubtful]) -> Iterator[Record]:
        """What is read of a split; when it is known, `doubtful` gets what of it came out of damaged data."""
        intake = Intake(
            self.config.sources[split.source],
            self.corpus.domains[split.source],
            self.config.max_record_bytes,
            self.config.max_metadata_bytes,
        )
        intake.doubtful = doubtful
        left = self._limit(split.number)
        for segment in split.segments:
            records = segment.records(intake)
            while left > 0 and (record := next(records, None)) is not None:
                if isinstance(record, Document):
                    left -= 1
                    left_out.add(record, intake.take_left_out())
                yield record

    def _limit(self, number: int) -> int:
        """Documents this split may still read. A limited build runs its read tasks in order."""
        if self.config.limit is None:
            return 2**63
        earlier = markers_of(self.layout, self.name, number)
        return self.config.limit - sum(marker.counts["documents"] for marker in earlier)


@dataclass(frozen=True)
class LeftOutFields:
    """Counts the fields that are left out of documents' metadata, and lists the first of them."""

    listed: RemovedLog
    counts: dict[str, int]

    def add(self, document: Document, fields: Sequence[LeftOut]) -> None:
        """Take in those of one document."""
        for one in fields:
            name = f"{LEFT_OUT}{one.why}"
            self.counts[name] = self.counts.get(name, 0) + 1
            line = {"domain": document.domain, "id": document.id, "field": one.field, "reason": one.reason}
            self.listed.add(f"metadata_{one.why}", line)


def chain_of(config: BuildConfig, source: int, takedowns: Takedowns = NOBODY) -> Chain:
    """What a source's documents are asked: its own filters or the build's, and a length at the end."""
    own = config.sources[source].filters
    rules = config.filters if own is None else own
    return Chain((*rules, Length(min_chars=config.min_chars)), takedowns, config.sources[source].share)


def _kept(
    records: Iterator[Record],
    chain: Chain,
    counts: dict[str, int],
    removed: RemovedLog,
    hashes: list[tuple[int, int, int, int]],
) -> Iterator[Document]:
    """Documents that no filter removes; everything else is counted and logged on the way."""
    documents = _readable(records, counts, removed)
    # A stretch at a time: the words of many documents are found together.
    for some in batches(documents, _JUDGED_DOCUMENTS, _JUDGED_CHARACTERS):
        for document, verdict in zip(some, chain.judge(some), strict=True):
            if isinstance(verdict, Removed):
                line = {"domain": document.domain, "id": document.id, "reason": verdict.reason}
                removed.add(verdict.filter, line)
                continue
            counts["kept"] += 1
            counts["dropped_lines"] += verdict.dropped
            kept = verdict.document
            hashes.append((*identity_hash(kept.domain, kept.id), *text_hash(kept.text)))
            yield kept


def _readable(records: Iterator[Record], counts: dict[str, int], removed: RemovedLog) -> Iterator[Document]:
    """The documents among the records; what is none is counted and logged on the way."""
    for record in records:
        if isinstance(record, Blank):
            counts["blank"] += 1
        elif isinstance(record, Skipped):
            counts[f"skipped.{record.kind}"] = counts.get(f"skipped.{record.kind}", 0) + 1
        elif isinstance(record, Unreadable):
            counts["unreadable"] += 1
            line = {"file": record.file, "record": record.record, "reason": record.reason}
            removed.add("unreadable", line, sample=None)
        else:
            counts["documents"] += 1
            yield record


def documents_kept(ingestion: Ingestion) -> tuple[int, ...]:
    """How many documents of each split no filter has removed. Raises Undecided if they are not read."""
    return tuple(marker.counts["kept"] for marker in ingestion.markers(ReadStage))
