"""Passages without those that occurred before: the shards of a split, written anew.

Known only once all passages are, and before any is numbered.

Decisions: docs/decisions/duplicates.md, passages.md.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import save_array
from datastore.generations.manifest import DUPLICATE
from datastore.schema import Passage, identity_hash, passage_at, text_hash
from pipelines.config import BuildConfig
from pipelines.corpus.ingestion import Ingestion, SplitStage
from pipelines.duplicates.dedup import load_drops
from pipelines.duplicates.repeats import RepeatStage, What, write_sorted
from pipelines.execution.markers import left_by
from pipelines.execution.stage import REMOVED_SAMPLE, RemovedLog
from pipelines.passages.chunk import ChunkStage, cut_documents_path, without_texts
from pipelines.passages.cut import Cutter
from pipelines.passages.parts import CUT, ShardWriter, load_tokens, part_path
from pipelines.passages.unknown import UNKNOWN, UNKNOWN_PASSAGES, counted, totals
from retriever.encoding.usage import AS_STATED, Usage

_SHOWN_IF_ANY = ("domain.", "column.", UNKNOWN, UNKNOWN_PASSAGES)

# A passage, its token ids and, if it occurred before, the split and row of the first one with its text.
_Row = tuple[Passage, NDArray[np.int32], tuple[int, int] | None]


def passages_cut(ingestion: Ingestion) -> tuple[int, ...]:
    """How many passages were cut of each split. Raises Undecided if not all are."""
    return tuple(marker.counts["passages"] for marker in ingestion.markers(ChunkStage))


class RepeatedPassageStage(RepeatStage):
    """Finds the passages that occurred before, in one range of hashes."""

    name: ClassVar[str] = "dedup-passage"
    unit: ClassVar[str] = "passages"
    what: ClassVar[What] = "passage"

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return ingestion.config.drops_passages

    @classmethod
    def of(cls, ingestion: Ingestion) -> "RepeatedPassageStage":
        return cls(ingestion.layout, passages_cut(ingestion), ingestion.held)


@dataclass(frozen=True)
class ThinStage(SplitStage):
    """Drops the passages of a split that occurred before; counts what `ChunkStage` counted, without them."""

    name: ClassVar[str] = "thin"
    unit: ClassVar[str] = "passages"
    counts: ClassVar[bool] = True
    replaces: ClassVar[str] = ChunkStage.name
    layout: Layout
    config: BuildConfig
    passages: tuple[int, ...]
    # In which repeats were looked for.
    ranges: int
    usage: Usage = AS_STATED

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return ingestion.config.drops_passages

    @classmethod
    def of(cls, ingestion: Ingestion) -> "ThinStage":
        ranges = RepeatedPassageStage.of(ingestion).ranges
        return cls(ingestion.layout, ingestion.config, passages_cut(ingestion), ranges, ingestion.usage)

    @classmethod
    def totals(cls, ingestion: Ingestion) -> Mapping[str, int]:
        return totals(ingestion.corpus.sources_of_splits, ingestion.markers(cls))

    def sizes(self) -> Sequence[int]:
        return self.passages

    def run(self, number: int) -> Marker:
        chunked = self.layout.done(ChunkStage.name, number)
        assert chunked is not None  # All of them are.
        counts = Counter(chunked.counts)
        counts[DUPLICATE] = 0
        removed, listed = RemovedLog(self.layout, number), RemovedLog(self.layout, number)
        shards = ShardWriter(self.layout, number, self.config.passages_per_shard)
        hashes, lost = list[tuple[int, ...]](), list[tuple[int, int]]()
        for _, rows in groupby(self._rows(number), lambda row: (row[0].domain, row[0].doc_id)):
            passages = list(rows)
            kept = [row for row in passages if row[2] is None]
            self._discount(counts, [row for row in passages if row[2] is not None], listed)
            for passage, ids, _ in kept:
                shards.add(passage, ids)
                identity = identity_hash(passage.domain, passage.doc_id)
                hashes.append((*text_hash(passage.text), *identity))
            if not kept:
                counts["indexed"] -= 1
                removed.add("no_new_passage", _nothing_left(passages[0][0]))
                # Where its lines are held, its text is too: without them it would be another text.
                if self.config.duplicate_lines is None:
                    lost.append(identity_hash(passages[0][0].domain, passages[0][0].doc_id))
        counts.update({f"removed.{name}": n for name, n in removed.counts.items()})
        array = np.array(hashes, np.uint64).reshape(-1, 4)
        known = write_sorted(self.layout, self.layout.passage_hashes(number), array)
        every = np.load(self._cut(number, cut_documents_path(self.layout, number)))
        documents = without_texts(every, lost)
        path = self.layout.documents(number)
        compared = self.layout.write(path, lambda handle: save_array(handle, documents))
        # A domain that has lost its last passage is none of the store's.
        shown = {name: n for name, n in counts.items() if n or not name.startswith(_SHOWN_IF_ANY)}
        return Marker(shown, (*shards.finish(), compared, known, *removed.write(), *listed.write()))

    def _rows(self, number: int) -> Iterator[_Row]:
        """The split's passages with their token ids, and where they occurred before."""
        found = load_drops(self.layout, "passage", number, self.ranges).tolist()
        drops = {row: (split, first) for _, row, split, first in found}
        row, part = 0, 0
        while row < self.passages[number]:
            ids = load_tokens(self.layout, number, part, CUT)
            path = self._cut(number, part_path(self.layout, number, part, CUT))
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                batch = file.get_batch(0)
            for at, mine in enumerate(ids):
                yield passage_at(batch, at), mine, drops.get(row + at)
            row, part = row + len(ids), part + 1

    def _cut(self, split: int, path: Path) -> Path:
        """A file that cutting has left. Raises RalmError if it is not what was written."""
        return left_by(self.layout, split, path, ChunkStage.name)

    def _discount(self, counts: Counter[str], dropped: list[_Row], listed: RemovedLog) -> None:
        """Take passages of one document out of the counts and, some of them, into the list."""
        cutter = Cutter.of(self.config, self.usage)
        # A split is of one source.
        named = next((name for name in counts if name.startswith(UNKNOWN)), None)
        for passage, ids, first in dropped:
            names = (f"domain.{passage.domain}", *(f"column.{name}" for name in passage.metadata))
            counts.subtract(dict.fromkeys(("passages", *names), 1))
            counts["tokens"] -= len(ids)
            counts["truncated"] -= len(ids) > cutter.room
            if named is not None:
                counts.subtract(counted(cutter.tokenizer, named.removeprefix(UNKNOWN), [ids]))
            counts[DUPLICATE] += 1
            line: dict[str, Any] = {"domain": passage.domain, "id": passage.doc_id, "chunk": passage.chunk}
            if first is not None and counts[DUPLICATE] <= REMOVED_SAMPLE:
                line |= self._first(*first)
            listed.add("duplicate_passage", line)

    def _first(self, split: int, row: int) -> dict[str, Any]:
        """What is listed of the passage that stays; of one in the store before, hashes alone are known."""
        if split < 0:
            return {"reason": "a passage in the store already has this text"}
        part, at = divmod(row, self.config.passages_per_shard)
        path = self._cut(split, part_path(self.layout, split, part, CUT))
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            kept = passage_at(file.get_batch(0), at)
        return {
            "reason": "an earlier passage has this text",
            "kept": {"domain": kept.domain, "id": kept.doc_id, "chunk": kept.chunk},
        }


def _nothing_left(passage: Passage) -> dict[str, Any]:
    """The line about a document that has lost all passages, or all that other reasons left."""
    line = {"domain": passage.domain, "id": passage.doc_id}
    return line | {"reason": "every passage of it that was left has the text of an earlier one"}
