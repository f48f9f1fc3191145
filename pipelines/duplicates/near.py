"""Near-duplicates across the whole corpus: MinHash-LSH, each candidate pair verified on the true n-grams.

Four stages, none of which holds more than its share. `near-sign` writes the band keys of a split's
documents, sorted; `near-pair` joins equal keys of one range of values; `near-verify` computes the Jaccard
similarity of the pairs whose later document lies in one split and keeps those that reach the threshold;
`near-cluster` joins what is left into clusters. Of a cluster the first document in corpus order stays, as of
exact duplicates, which have been dropped before.

Decisions: docs/decisions/duplicates.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import save_array
from datastore.shard import open_array
from pipelines.config import NearDuplicates
from pipelines.corpus.documents import Texts, documents_in, load_hashes
from pipelines.corpus.ingestion import NOTHING, Held, Ingestion, IngestStage, SplitStage
from pipelines.corpus.read import documents_kept
from pipelines.duplicates.dedup import By, DedupIdStage, drops_path, load_drops
from pipelines.duplicates.minhash import band_keys, jaccard, members, shingles, signatures
from pipelines.duplicates.pairs import distinct, forest, sharing
from pipelines.duplicates.signed import Signed, documents_of, first_of, places_of
from pipelines.execution.markers import left_by

# Band keys and the documents they are of, some after others.
_Keys = tuple[NDArray[np.uint64], NDArray[np.int64]]
_NOBODY: _Keys = np.empty(0, np.uint64), np.empty(0, np.int64)
# Documents signed at once: their n-grams take 8 bytes a word.
_SIGNED = 512
# Keys are compared in ranges of about so many: sorting them takes 60 bytes each for a moment.
_KEYS_PER_RANGE = 8_000_000


def pairs_path(layout: Layout, part: int) -> Path:
    """Where the candidates of one range of keys lie: int64 [pairs, 2], later and earlier, ascending."""
    return layout.work / "near-pairs" / f"{part:05d}.npy"


def edges_path(layout: Layout, split: int) -> Path:
    """Where the verified pairs lie whose later document is in this split: int64 [edges, 2]."""
    return layout.work / "near-edges" / f"{split:05d}.npy"


@dataclass(frozen=True)
class SignStage(SplitStage):
    """Signs the documents of a split that are no exact duplicates."""

    name: ClassVar[str] = "near-sign"
    unit: ClassVar[str] = "documents"
    layout: Layout
    settings: NearDuplicates
    documents: tuple[int, ...]
    partitions: int

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return ingestion.config.near_duplicates is not None

    @classmethod
    def of(cls, ingestion: Ingestion) -> "SignStage":
        exact = DedupIdStage.of(ingestion).partitions
        return cls(ingestion.layout, _settings(ingestion), documents_kept(ingestion), exact)

    def sizes(self) -> Sequence[int]:
        return self.documents

    def run(self, number: int) -> Marker:
        keep = np.ones(self.documents[number], bool)
        by: By
        for by in ("id", "text"):
            keep[load_drops(self.layout, by, number, self.partitions)[:, 1]] = False
        keys = [np.empty((0, 2), np.uint64)]
        sets = [np.empty(0, np.uint32)] * len(keep)
        for rows, texts in _batches(documents_in(self.layout, number), keep):
            # A text without words has no n-gram: equal to nothing.
            found = [
                (row, shingles(text, self.settings.words)) for row, text in zip(rows, texts, strict=True)
            ]
            some = [(row, grams) for row, grams in found if len(grams)]
            signed = signatures([grams for _, grams in some], self.settings.permutations)
            banded = band_keys(signed, self.settings.bands)
            numbers = np.repeat(np.array([row for row, _ in some], np.uint64), self.settings.bands)
            keys.append(np.column_stack([banded.ravel(), numbers]))
            for row, grams in some:
                sets[row] = members(grams)
        every, identities = np.concatenate(keys), load_hashes(self.layout, number)[:, :2]
        files = Signed(self.layout).write(number, every, sets, identities)
        return Marker({"keys": len(every)}, files)


@dataclass(frozen=True)
class PairStage(IngestStage):
    """Pairs the documents that share a key, in one range of keys."""

    name: ClassVar[str] = "near-pair"
    unit: ClassVar[str] = "keys"
    layout: Layout
    keys: tuple[int, ...]
    held: Held = NOTHING

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return SignStage.asked(ingestion)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "PairStage":
        keys = tuple(marker.counts["keys"] for marker in ingestion.markers(SignStage))
        return cls(ingestion.layout, keys, ingestion.held)

    @property
    def ranges(self) -> int:
        return 1 + sum(self.keys) // _KEYS_PER_RANGE

    def sizes(self) -> Sequence[int]:
        return [sum(self.keys) // self.ranges] * self.ranges

    def run(self, number: int) -> Marker:
        signed = Signed(self.layout, self.held)
        mine = [self._stretch(signed, split, number) for split in range(len(self.keys))]
        every = [_NOBODY, *mine, *self._alike_before(signed, mine, number)]
        keys, documents = (np.concatenate(part) for part in zip(*every, strict=True))
        pairs = sharing(keys, documents)
        pairs = pairs[pairs[:, 0] >= 0]  # Those the store held before were compared when they came.
        info = self.layout.write(pairs_path(self.layout, number), lambda handle: save_array(handle, pairs))
        return Marker({"pairs": len(pairs)}, (info,))

    def _alike_before(self, signed: Signed, mine: Sequence[_Keys], number: int) -> Iterator[_Keys]:
        """Of the documents that the store held before, those that share one of the keys in a range."""
        if not signed.splits_before:
            return
        wanted = np.unique(np.concatenate([_NOBODY[0], *(keys for keys, _ in mine)]))
        for split in signed.splits_before:
            keys, documents = self._stretch(signed, split, number)
            shared = np.isin(keys, wanted)  # Of a store that is larger by far than what is added, hardly any.
            keys, documents = keys[shared], documents[shared]
            # What is taken down is not in the store: another document may be like it.
            there = ~signed.gone(documents)
            yield keys[there], documents[there]

    def _stretch(self, signed: Signed, split: int, number: int) -> _Keys:
        """The keys of a split that lie in one range, and their documents."""
        # Widened: the end of the last range is 2^64.
        begin, end = (at * 2**64 // self.ranges for at in (number, number + 1))
        found = signed.keys(split)
        first = int(np.searchsorted(found[:, 0], np.uint64(begin)))
        last = int(np.searchsorted(found[:, 0], np.uint64(end))) if end < 2**64 else len(found)
        # The file is let go of: there may be very many.
        return np.array(found[first:last, 0]), documents_of(split, found[first:last, 1].astype(np.int64))


@dataclass(frozen=True)
class VerifyStage(SplitStage):
    """Keeps the candidates, later document in one split, that are as similar as is asked."""

    name: ClassVar[str] = "near-verify"
    unit: ClassVar[str] = "documents"
    layout: Layout
    settings: NearDuplicates
    documents: tuple[int, ...]
    ranges: int
    held: Held = NOTHING

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return SignStage.asked(ingestion)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "VerifyStage":
        ranges, documents = PairStage.of(ingestion).ranges, documents_kept(ingestion)
        return cls(ingestion.layout, _settings(ingestion), documents, ranges, ingestion.held)

    def sizes(self) -> Sequence[int]:
        return self.documents

    def run(self, number: int) -> Marker:
        signed = Signed(self.layout, self.held)
        candidates = self._candidates(number)
        kept = candidates[
            [similar >= self.settings.threshold for similar in _similarities(signed, candidates)]
        ]
        edges = forest(kept)
        info = self.layout.write(edges_path(self.layout, number), lambda handle: save_array(handle, edges))
        return Marker({"candidates": len(candidates), "near": len(kept)}, (info,))

    def _candidates(self, split: int) -> NDArray[np.int64]:
        """The pairs whose later document is in this split, ascending by their earlier one."""
        parts = [np.empty((0, 2), np.int64)]
        for part in range(self.ranges):
            found = open_array(left_by(self.layout, part, pairs_path(self.layout, part), PairStage.name))
            begin, end = np.searchsorted(found[:, 0], [first_of(split), first_of(split + 1)])
            parts.append(np.array(found[begin:end]))
        pairs = distinct(np.concatenate(parts))
        return pairs[np.argsort(pairs[:, 1], kind="stable")]


def _similarities(signed: Signed, pairs: NDArray[np.int64]) -> Iterator[float]:
    """The Jaccard similarity of each pair of documents, earlier ones ascending."""
    for earlier, group in groupby(pairs.tolist(), key=lambda pair: pair[1]):
        mine = signed.grams(earlier)
        for later, _ in group:
            yield jaccard(mine, signed.grams(later))


@dataclass(frozen=True)
class ClusterStage(IngestStage):
    """Joins the verified pairs of all splits into clusters; all but the first of each are dropped.

    The one task that holds every near-duplicate: 16 bytes each, some 160 while it joins them.
    Writes what `DedupStage` writes.
    """

    name: ClassVar[str] = "near-cluster"
    unit: ClassVar[str] = "pairs"
    layout: Layout
    edges: tuple[int, ...]
    held: Held = NOTHING

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        return SignStage.asked(ingestion)

    @classmethod
    def of(cls, ingestion: Ingestion) -> "ClusterStage":
        edges = tuple(marker.counts["near"] for marker in ingestion.markers(VerifyStage))
        return cls(ingestion.layout, edges, ingestion.held)

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        return 1

    def sizes(self) -> Sequence[int]:
        return [sum(self.edges)]

    def run(self, number: int) -> Marker:
        paths = [
            left_by(self.layout, split, edges_path(self.layout, split), VerifyStage.name)
            for split in range(len(self.edges))
        ]
        found = forest(np.concatenate([np.empty((0, 2), np.int64), *map(np.load, paths)]))
        dropped, kept = found[found[:, 0] >= 0].T  # What the store held before stays as it is.
        drops = np.column_stack([*places_of(dropped), *places_of(kept)])
        info = self.layout.write(
            drops_path(self.layout, "near", number), lambda handle: save_array(handle, drops)
        )
        stay = Signed(self.layout, self.held).write_kept(dropped, kept)
        return Marker({"duplicates": len(drops)}, (info, stay))


def _settings(ingestion: Ingestion) -> NearDuplicates:
    settings = ingestion.config.near_duplicates
    assert settings is not None  # Else the job has none of these stages.
    return settings


def _batches(path: Path, keep: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], list[str]]]:
    """Rows and texts of a split's documents that are kept, some at a time."""
    texts = Texts.open(path)
    rows = np.flatnonzero(keep)
    for at in range(0, len(rows), _SIGNED):
        mine = rows[at : at + _SIGNED]
        yield mine, [texts[row] for row in mine.tolist()]
