"""One corpus on its way into one store: what its stages go by, and the shape that all of them have.

A stage is a class in a module of its own and a line in `jobs/stages.py`. It says itself whether a build asks
for it, of what it is made when those before it are done, how many tasks it has, and which of its counts enter
the manifest and are shown, under which words. Who performs stages, and in which order, is not known here.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.manifest import Dtype, Manifest
from datastore.shard import open_array
from pipelines.config import BuildConfig
from pipelines.corpus.sources import Corpus
from pipelines.execution.counts import Shown
from pipelines.execution.job import WORK
from retriever.encoding.usage import AS_STATED, Usage


@dataclass(frozen=True, slots=True)
class Held:
    """What a store holds before something is added: nothing, for a build.

    Files of document hashes (uint64 [documents, 4]) and of takedowns, the number of documents, the first
    shard number and row id that are free, and the evaluation texts that no passage may hold. Where passages
    or lines may not be repeated, also files of their hashes (uint64 [n, 4], text and identity, ascending) and
    the number of them; where near-duplicates may not be there, what they are found by (`signed.py`). The
    index as it was trained, and the mean length in words that BM25 goes by, None without BM25.
    """

    hashes: tuple[Path, ...] = ()
    takedowns: tuple[Path, ...] = ()
    documents: int = 0
    first_shard: int = 0
    first_row: int = 0
    contamination: Path | None = None
    passage_hashes: tuple[Path, ...] = ()
    passages: int = 0
    line_hashes: tuple[Path, ...] = ()
    lines: int = 0
    near: tuple[Path, ...] = ()
    index_key: str | None = None
    mean_words: float | None = None

    @classmethod
    def by(cls, layout: Layout, manifest: Manifest, takedowns: Sequence[str] = ()) -> "Held":
        """What a store holds that an addition is compared with, and where the addition begins."""
        hashes = tuple(layout.root / entry.path for entry in manifest.documents)
        passages = tuple(layout.root / entry.path for entry in manifest.passage_hashes)
        lines = tuple(layout.root / entry.path for entry in manifest.line_hashes)
        return cls(
            hashes=hashes,
            takedowns=tuple(layout.root / path for path in takedowns),
            documents=rows_of(hashes),
            first_shard=manifest.next_shard,
            first_row=manifest.rows,
            contamination=layout.root / manifest.contamination.path if manifest.contamination else None,
            passage_hashes=passages,
            passages=rows_of(passages),
            line_hashes=lines,
            lines=rows_of(lines),
            near=tuple(layout.root / entry.path for entry in manifest.near),
            index_key=manifest.index.key,
            mean_words=manifest.mean_words,
        )


NOTHING = Held()


def rows_of(paths: Sequence[Path]) -> int:
    """How many rows arrays have together."""
    return sum(len(open_array(path)) for path in paths)


class Undecided(Exception):
    """What is asked for follows from a stage that is not done yet."""


@dataclass(frozen=True)
class Ingestion:
    """One corpus on its way into one store. `left` are the markers of the stages that are done, by name.

    `work` is the version of what stages hand to each other, as of when the job was begun.
    """

    layout: Layout
    config: BuildConfig
    corpus: Corpus
    dtype: Dtype
    held: Held = NOTHING
    usage: Usage = AS_STATED
    work: int = WORK
    left: dict[str, Sequence[Marker]] = field(default_factory=dict)

    @property
    def adds(self) -> bool:
        """Whether there is a store already, whose index is taken as it is."""
        return bool(self.layout.job)

    @property
    def splits(self) -> int:
        return len(self.corpus.splits)

    def markers(self, stage: "type[IngestStage]") -> Sequence[Marker]:
        """What the tasks of a stage have left. Raises Undecided if they are not all done."""
        if stage.name not in self.left:
            found = [self.layout.done(stage.name, number) for number in range(stage.tasks(self))]
            done = [marker for marker in found if marker]
            if len(done) < len(found):
                raise Undecided(stage.name)
            self.left[stage.name] = done
        return self.left[stage.name]


class IngestStage(ABC):
    """A stage on the way of a corpus into a store: a frozen dataclass with these, and a `layout`.

    It is described without a corpus by what stands first, made of an `Ingestion` by `of`, and carried out
    task by task by `run`, on any machine: a function of the configuration and its input alone.
    """

    # Its folder of markers, and what its progress counts.
    name: ClassVar[str]
    unit: ClassVar[str]
    layout: Layout
    # Whether what its tasks count is summed in the manifest; the stage whose counts these replace, by task.
    counts: ClassVar[bool] = False
    replaces: ClassVar[str] = ""
    # Which counts, its own or of later stages, a summary and `ralm status` show.
    shows: ClassVar[tuple[Shown, ...]] = ()
    # The stage beside which it is carried out: each of its tasks as soon as that one's is done.
    beside: ClassVar[str] = ""

    @classmethod
    def asked(cls, ingestion: Ingestion) -> bool:
        """Whether the job has this stage."""
        return True

    @classmethod
    @abstractmethod
    def of(cls, ingestion: Ingestion) -> Self:
        """The stage of a job. Raises Undecided if one that it follows from is not done."""

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        """How many tasks there are. Raises Undecided if an earlier stage decides it."""
        return len(cls.of(ingestion).sizes())

    @classmethod
    def totals(cls, ingestion: Ingestion) -> Mapping[str, int]:
        """What the manifest counts of it, done, beside the sums over its tasks."""
        return {}

    @abstractmethod
    def sizes(self) -> Sequence[int]:
        """The work in each task, in units; tasks are numbered from 0."""

    @abstractmethod
    def run(self, number: int) -> Marker:
        """Do one task: write whole files, and say in a marker which, and what was counted."""


class SplitStage(IngestStage):
    """A stage with a task for each split of the corpus, known from the beginning."""

    @classmethod
    def tasks(cls, ingestion: Ingestion) -> int:
        return ingestion.splits


def summed(markers: Sequence[Marker]) -> dict[str, int]:
    """Sum the counts of tasks; `kept` is between stages and left out."""
    names = ["records", "blank", "unreadable", "documents", "indexed", "passages", "tokens", "truncated"]
    found = dict.fromkeys(names, 0)
    for marker in markers:
        for name, count in marker.counts.items():
            found[name] = found.get(name, 0) + count
    found.pop("kept", None)
    return dict(sorted(found.items()))
