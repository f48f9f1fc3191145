"""Which files a corpus consists of, and the splits its read tasks take.

Knows names, sizes and kinds; reads nothing but Parquet footers. The same files give the same splits,
whatever machine or number of workers.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from datastore.errors import RalmError
from datastore.manifest import SourceEntry
from pipelines.config import BuildConfig, SourceConfig
from pipelines.readers.formats import READABLE, Segment, compression, format_of
from pipelines.readers.hub import open_hub_dataset

_END_BYTES = 1 << 16
# Formats that are cut into byte ranges, and in which compressions: bzip2 where its streams are found again.
_CUT: dict[str, tuple[str | None, ...]] = {"jsonl": (None,), "mediawiki": (None, "bzip2")}


@dataclass(frozen=True, slots=True)
class Split:
    """The input of one read task: segments of one source."""

    number: int
    source: int
    segments: tuple[Segment, ...]
    bytes: int

    @property
    def partial(self) -> bool:
        """Whether it starts inside a JSON Lines file, so that lines before it must be counted."""
        return any(s.kind == "jsonl" and s.end >= 0 for s in self.segments)


@dataclass(frozen=True)
class Corpus:
    """The sources of a build, resolved."""

    sources: tuple[SourceEntry, ...]
    splits: tuple[Split, ...]
    ignored: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(split.bytes for split in self.splits)

    def fingerprint(self) -> list[dict[str, Any]]:
        """What a resumed build compares: each segment's name, kind, range and ends, and split sizes."""
        return [
            {
                "bytes": s.bytes,
                "segments": [[g.name, g.kind, g.begin, g.end] for g in s.segments],
                "ends": [_ends(g) for g in s.segments],
            }
            for s in self.splits
        ]


def _ends(segment: Segment) -> str:
    """Hash of the first and last bytes of a segment: tells of most edits that keep a file's size."""
    if segment.kind == "hf":
        return ""
    with open(segment.path, "rb") as handle:
        begin = segment.begin if segment.in_bytes else 0
        handle.seek(begin)
        first = handle.read(_END_BYTES)
        handle.seek(0, os.SEEK_END)
        end = segment.end if segment.in_bytes and segment.end >= 0 else handle.tell()
        handle.seek(max(begin, end - _END_BYTES))
        return xxhash.xxh3_64_hexdigest(first + handle.read(end - handle.tell()))


def resolve(config: BuildConfig, taken: Sequence[str] = ()) -> Corpus:
    """List a build's files and cut them into splits. Raises RalmError for a source without any.

    `taken` are the names of sources that the store has already.
    """
    names = source_names([source.path for source in config.sources], taken)
    sources: list[SourceEntry] = []
    splits: list[Split] = []
    ignored: list[str] = []
    for number, (source, name) in enumerate(zip(config.sources, names, strict=True)):
        if source.path.startswith("hf://"):
            sized = list(_hub_segments(source))
        else:
            files, unknown = _files(source, name)
            ignored += unknown
            sized = [item for path, label in files for item in _segments(path, label, source, config)]
        before = len(splits)
        for segments, size in _pack(sized, config.split_bytes):
            splits.append(Split(len(splits), number, segments, size))
        domain = source.domain or None
        size = sum(split.bytes for split in splits[before:])
        sources.append(SourceEntry(name=name, domain=domain, bytes=size))
    return Corpus(tuple(sources), tuple(splits), tuple(ignored))


def source_names(paths: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """The shortest ends of the paths that tell the sources apart; most often the last part alone.

    Where one of them is `taken`, all end in a number: more of the path would be no name to keep.
    """
    parts = [
        (p,) if p.startswith("hf://") else Path(os.path.abspath(p)).parts  # noqa: PTH100
        for p in paths
    ]
    if len(set(parts)) < len(parts):
        twice = next(p for i, p in enumerate(paths) if parts[i] in parts[:i])
        raise RalmError(f"The source {twice} is given twice: name it once.")
    length = 1
    while len({p[-length:] for p in parts}) < len(parts):
        length += 1
    names = ["/".join(p[-length:]).removeprefix("hf://").lstrip("/") or "root" for p in parts]
    found, number = names, 1
    while set(found) & set(taken):
        number += 1
        found = [f"{name}#{number}" for name in names]
    return found


def _files(source: SourceConfig, name: str) -> tuple[list[tuple[Path, str]], list[str]]:
    root = Path(source.path)
    if root.is_file():
        if format_of(root, source.reader) is None:
            raise RalmError(f"{root} is of a kind ralm does not read: it reads {READABLE}.")
        return [(root, name)], []
    if not root.is_dir():
        raise RalmError(f"There is no source {root}: name a file, a folder or hf://NAME.")
    found, unknown = [], []
    for path in _walk(root):
        # A name that is no UTF-8 is spelled with escapes: it becomes part of ids.
        label = os.fsencode(f"{name}/{path.relative_to(root).as_posix()}").decode(errors="backslashreplace")
        if format_of(path, source.reader) is None:
            unknown.append(label)
        else:
            found.append((path, label))
    if not found:
        raise RalmError(f"The folder {root} holds no file that ralm reads: it reads {READABLE}.")
    return found, unknown


def _walk(root: Path) -> Iterator[Path]:
    """Regular files under a folder in one order everywhere; hidden ones and links to folders not."""
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            path = Path(folder) / file
            if not file.startswith(".") and path.is_file():
                yield path


def _unreadable(error: OSError) -> None:
    raise RalmError(f"The folder {error.filename} cannot be read ({error.strerror}): mend its permissions.")


def _segments(
    path: Path, label: str, source: SourceConfig, config: BuildConfig
) -> Iterator[tuple[Segment, int]]:
    kind, size = format_of(path, source.reader) or "text", path.stat().st_size
    absolute = str(path.resolve())
    if kind == "parquet":
        yield from _row_groups(absolute, label, config.split_bytes, size)
    elif compression(absolute) in _CUT.get(kind, ()) and size > config.split_bytes:
        for begin in range(0, size, config.split_bytes):
            end = min(begin + config.split_bytes, size)
            yield Segment(absolute, label, kind, begin, end), end - begin
    else:
        yield Segment(absolute, label, kind), size


def _row_groups(path: str, label: str, split: int, size: int) -> Iterator[tuple[Segment, int]]:
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        yield Segment(path, label, "parquet"), size  # Its read task reports what is wrong with it.
        return
    begin, begin_row, rows, held = 0, 0, 0, 0
    for group in range(footer.num_row_groups):
        rows += footer.row_group(group).num_rows
        held += footer.row_group(group).total_byte_size
        if held >= split or group == footer.num_row_groups - 1:
            yield Segment(path, label, "parquet", begin, group + 1, begin_row), held
            begin, begin_row, held = group + 1, rows, 0


def _hub_segments(source: SourceConfig) -> Iterator[tuple[Segment, int]]:
    name = source.path.removeprefix("hf://")
    for shard in range(open_hub_dataset(source.path).num_shards):
        yield Segment(source.path, name, "hf", shard, shard + 1), 0


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
