"""Which files a corpus consists of, and the splits its read tasks take.

Knows names and sizes, and that files of some formats are cut: reads no more than that takes. The same files
give the same splits, whatever machine or number of workers.

Decisions: docs/decisions/sources.md.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import xxhash

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.manifest import SourceEntry
from datastore.objects.origin import address_of
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.source_names import named
from pipelines.readers.bytes import files
from pipelines.readers.bytes.files import ListedFile, each, is_remote
from pipelines.readers.formats import HUB, READABLE, UNPACKED, format_of, only_unpacked
from pipelines.readers.records import Intake
from pipelines.readers.segment import Segment, cut, require_documents, told
from pipelines.readers.tables.hub import at_commit, open_hub_dataset, revision_of, with_revision

_END_BYTES = 1 << 16

NOTHING_BEGUN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Split:
    """The input of one read task: segments of one source."""

    number: int
    source: int
    segments: tuple[Segment, ...]
    bytes: int

    @property
    def partial(self) -> bool:
        """Whether it is part of a file of lines, so that lines before it must be counted."""
        return any(segment.in_lines for segment in self.segments)


@dataclass(frozen=True)
class Corpus:
    """The sources of a build, resolved.

    `domains` are theirs where a record states none; `stores` lie in them, and are no part of the corpus.
    `moved` says which data sets of the hub have been pushed to since the job was begun.
    """

    sources: tuple[SourceEntry, ...]
    splits: tuple[Split, ...]
    ignored: tuple[str, ...]
    domains: tuple[str, ...]
    stores: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()

    @classmethod
    def recorded(cls, splits: Sequence[Mapping[str, Any]]) -> "Corpus":
        """The splits of a corpus that may be gone, as a job has written them down (`fingerprint`)."""
        found = [
            Split(n, 0, tuple(Segment(name, name, *rest) for name, *rest in one["segments"]), one["bytes"])
            for n, one in enumerate(splits)
        ]
        return cls((), tuple(found), (), ())

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say of the sources before they are read."""
        return (self.left_out,) * bool(self.stores) + self.moved

    @property
    def left_out(self) -> str:
        """What to say of the stores; empty if there are none."""
        return f"Left out, for they are datastores: {', '.join(self.stores)}." if self.stores else ""

    @property
    def bytes(self) -> int:
        return sum(split.bytes for split in self.splits)

    @property
    def sources_of_splits(self) -> tuple[str, ...]:
        """The name of each split's source."""
        return tuple(self.sources[split.source].name for split in self.splits)

    def fingerprint(self) -> list[dict[str, Any]]:
        """What a resumed build compares: each segment's name, kind, range and ends, and split sizes."""
        segments = [segment for split in self.splits for segment in split.segments]
        ends = iter(each(_ends, segments, any(is_remote(segment.path) for segment in segments)))
        return [
            {
                "bytes": s.bytes,
                "segments": [[g.name, g.kind, g.begin, g.end] for g in s.segments],
                "ends": [next(ends) for _ in s.segments],
            }
            for s in self.splits
        ]


def _ends(segment: Segment) -> str:
    """Hash of the first and last bytes of a segment: tells of most edits that keep a file's size."""
    if segment.kind == HUB:
        return revision_of(segment.path)
    with files.open_short(segment.path) as handle:
        begin = segment.begin if segment.in_bytes else 0
        handle.seek(begin)
        first = handle.read(_END_BYTES)
        handle.seek(0, os.SEEK_END)
        end = segment.end if segment.in_bytes and segment.end >= 0 else handle.tell()
        handle.seek(max(begin, end - _END_BYTES))
        return xxhash.xxh3_64_hexdigest(first + handle.read(end - handle.tell()))


def begun_at(layout: Layout) -> dict[str, str]:
    """The commits at which a job that was begun reads data sets of the hub, by the names of these."""
    splits = layout.read_settings().get("splits", ())
    pairs = [pair for split in splits for pair in zip(split["segments"], split["ends"], strict=True)]
    return {name: commit for (name, kind, *_), commit in pairs if kind == HUB and commit}


def resolve(
    config: BuildConfig,
    before: Sequence[SourceEntry] = (),
    store: Path | None = None,
    begun: Mapping[str, str] = NOTHING_BEGUN,
) -> Corpus:
    """List a build's files and cut them into splits. Raises RalmError for a source without any.

    `before` are the sources that the store has already; `store`, its folder, may lie in a source. `begun` is
    `begun_at` of a job that goes on.
    """
    domains = [source.domain or None for source in config.sources]
    every = named([source.path for source in config.sources], domains, before)
    sources: list[SourceEntry] = []
    splits: list[Split] = []
    ignored: list[str] = []
    stores: list[str] = []
    moved: list[str] = []
    for number, (source, one) in enumerate(zip(config.sources, every, strict=True)):
        if source.path.startswith("hf://"):
            sized = list(_hub_segments(source, begun, moved))
        else:
            known, unknown, within = _files(source, one.name, store)
            found = format_of(known[0].path, source.reader)
            if found is not None and known[0].relative == one.name:
                # Of a file that is named itself at once; among others it costs itself alone.
                require_documents(known[0].path, found, Intake(source, one.name, config.max_record_bytes))
            ignored += unknown
            stores += within
            segments_of = partial(_segments, source=source, split_bytes=config.split_bytes)
            sized = [item for items in each(segments_of, known, is_remote(source.path)) for item in items]
        first = len(splits)
        for segments, size in _pack(sized, config.split_bytes):
            splits.append(Split(len(splits), number, segments, size))
        size = sum(split.bytes for split in splits[first:])
        sources.append(one.entry(domains[number], size))
    defaults = tuple(one.domain for one in every)
    return Corpus(tuple(sources), tuple(splits), tuple(ignored), defaults, tuple(stores), tuple(moved))


def _files(
    source: SourceConfig, label: str, store: Path | None
) -> tuple[list[ListedFile], list[str], list[str]]:
    """A source's files, `relative` being their names in ids; names of those of unknown kinds, and stores."""
    root = source.path
    if files.is_file(root):
        if only_unpacked(root, source.reader):
            raise RalmError(f"{root} is compressed, and {UNPACKED}: unpack it.")
        if format_of(root, source.reader) is None:
            raise RalmError(f"{root} is of a kind ralm does not read: it reads {READABLE}.")
        path = root if is_remote(root) else os.path.abspath(root)  # noqa: PTH100
        return [ListedFile(path, label, files.size(root))], [], []
    if not is_remote(root) and not Path(root).is_dir():
        if Path(root).exists():
            raise RalmError(f"{root} is no file but a pipe, a socket or a device: write it to a file first.")
        raise RalmError(f"There is no source {root}: name a file, a folder, s3://BUCKET/PREFIX or hf://NAME.")
    found, unknown = [], []
    own = address_of(store) if store is not None and is_remote(root) else str(store or "")
    listing = files.walk(root, own)
    if "" in listing.stores:
        raise RalmError(f"{root} is a datastore, no corpus: name the files or folders that it was built of.")
    for one in listing.files:
        labelled = replace(one, relative=f"{label}/{one.relative}")
        if format_of(one.path, source.reader) is None:
            unknown.append(labelled.relative)
        else:
            found.append(labelled)
    if not found:
        what = "prefix" if is_remote(root) else "folder"
        raise RalmError(f"The {what} {root} holds no file that ralm reads: it reads {READABLE}.")
    return found, unknown, [f"{root.rstrip('/')}/{one}" for one in listing.stores]


def _segments(file: ListedFile, source: SourceConfig, split_bytes: int) -> list[tuple[Segment, int]]:
    found = format_of(file.path, source.reader)
    assert found is not None  # `_files` gives no others.
    if source.reader is None:
        found = told(file.path, found)
    return list(cut(Segment(file.path, file.relative, found.name), file.bytes, split_bytes))


def _hub_segments(
    source: SourceConfig, begun: Mapping[str, str], moved: list[str]
) -> Iterator[tuple[Segment, int]]:
    name, path = source.path.removeprefix("hf://"), at_commit(source.path)
    if (commit := begun.get(name)) and commit != (now := revision_of(path)):
        path = with_revision(path, commit)
        if now:
            moved.append(
                f"{source.path} has been pushed to since this was begun, and is read on as it was then "
                f"(commit {commit[:12]}): for what is there now ({now[:12]}) build another store."
            )
    for shard in range(open_hub_dataset(path).num_shards):
        yield Segment(path, name, HUB, shard, shard + 1), 0


def _pack(
    sized: Sequence[tuple[Segment, int]], split_bytes: int
) -> Iterator[tuple[tuple[Segment, ...], int]]:
    """Put small whole files together; a part of a large file is a split of its own."""
    held: list[Segment] = []
    size = 0
    for segment, bytes_ in sized:
        alone = segment.end >= 0
        if held and (alone or size + bytes_ > split_bytes):
            yield tuple(held), size
            held, size = [], 0
        if alone:
            yield (segment,), bytes_
        else:
            held.append(segment)
            size += bytes_
    if held:
        yield tuple(held), size
