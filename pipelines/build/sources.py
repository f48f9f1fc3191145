"""Which files a corpus consists of, and the splits its read tasks take.

Knows names, sizes and kinds; reads nothing but Parquet footers. The same files give the same splits,
whatever machine or number of workers.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from datastore.errors import RalmError
from datastore.manifest import SourceEntry
from pipelines.build import files
from pipelines.build.files import Found, each, is_remote
from pipelines.config import BuildConfig, SourceConfig

# C4, OSCAR and others ship JSON Lines as .json.gz, so .json means JSON Lines too.
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}
KINDS |= {e: "text" for e in (".txt", ".text", ".md", ".markdown", ".rst")}
KINDS |= {e: "html" for e in (".html", ".htm", ".xhtml")}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_END_BYTES = 1 << 16
# What `source_names` puts behind a name that the store has already.
_ADDED = re.compile(r"#\d+$")
READABLE = "JSONL (plain, .gz, .zst), Parquet, text, Markdown and HTML"


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a file that one task reads: bytes of JSON Lines, row groups of Parquet, else all of it.

    `begin` and `end` count bytes or row groups; `end` -1 is the file's end. `first_record` is the
    number of records (lines, rows) before `begin`.
    """

    path: str
    name: str
    kind: str
    begin: int = 0
    end: int = -1
    first_record: int = 0


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
    if segment.kind == "hf":
        return ""
    with files.open_short(segment.path) as handle:
        begin = segment.begin if segment.kind == "jsonl" else 0
        handle.seek(begin)
        first = handle.read(_END_BYTES)
        handle.seek(0, os.SEEK_END)
        end = segment.end if segment.kind == "jsonl" and segment.end >= 0 else handle.tell()
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
            known, unknown = _files(source, name)
            ignored += unknown
            cut = partial(_segments, split_bytes=config.split_bytes)
            sized = [item for items in each(cut, known, is_remote(source.path)) for item in items]
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
    whole = [(p,) if p.startswith("hf://") else files.parts(p) for p in paths]
    if len(set(whole)) < len(whole):
        twice = next(p for i, p in enumerate(paths) if whole[i] in whole[:i])
        raise RalmError(f"The source {twice} is given twice: name it once.")
    length = 1
    while len({p[-length:] for p in whole}) < len(whole):
        length += 1
    names = ["/".join(p[-length:]).removeprefix("hf://").lstrip("/") or "root" for p in whole]
    found, number = names, 1
    while set(found) & set(taken):
        number += 1
        found = [f"{name}#{number}" for name in names]
    return found


def default_domain(source: SourceConfig, name: str) -> str:
    """The domain of records that state none: the source's, or its name without known extensions.

    The whole name, with as much of its path as tells it from other sources: were two sources to share
    a default domain, the second's documents would be taken for duplicates of the first's. One that is added
    later under the same name has the same domain: what it calls as before is the same document, and stays
    taken down if it was.
    """
    if source.domain:
        return source.domain
    path = Path(_ADDED.sub("", name))
    while path.suffix.lower() in KINDS | COMPRESSIONS and path.stem:
        path = path.with_suffix("")
    return str(path)


def _kind(path: str) -> str | None:
    suffixes = [s.lower() for s in Path(files.name(path)).suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        inner = KINDS.get(suffixes[-2]) if len(suffixes) > 1 else None
        return "jsonl" if inner == "jsonl" else None
    return KINDS.get(suffixes[-1]) if suffixes else None


def compression(path: str) -> str | None:
    """The compression a file name tells of: "gzip", "zstd" or None."""
    return COMPRESSIONS.get(Path(files.name(path)).suffix.lower())


def _files(source: SourceConfig, label: str) -> tuple[list[Found], list[str]]:
    """A source's files, `relative` being their names in ids, and the names of files of unknown kinds."""
    root = source.path
    if files.is_file(root):
        if _kind(root) is None:
            raise RalmError(f"{root} is of a kind ralm does not read: it reads {READABLE}.")
        path = root if is_remote(root) else os.path.abspath(root)  # noqa: PTH100
        return [Found(path, label, files.size(root))], []
    if not is_remote(root) and not Path(root).is_dir():
        raise RalmError(f"There is no source {root}: name a file, a folder, s3://BUCKET/PREFIX or hf://NAME.")
    listed = [replace(one, relative=f"{label}/{one.relative}") for one in files.walk(root)]
    found = [one for one in listed if _kind(one.path) is not None]
    if not found:
        what = "prefix" if is_remote(root) else "folder"
        raise RalmError(f"The {what} {root} holds no file that ralm reads: it reads {READABLE}.")
    return found, [one.relative for one in listed if _kind(one.path) is None]


def _segments(file: Found, split_bytes: int) -> list[tuple[Segment, int]]:
    kind, size = _kind(file.path) or "text", file.bytes
    if kind == "parquet":
        return list(_row_groups(file.path, file.relative, split_bytes, size))
    if kind == "jsonl" and not compression(file.path) and size > split_bytes:
        ends = [(begin, min(begin + split_bytes, size)) for begin in range(0, size, split_bytes)]
        return [(Segment(file.path, file.relative, kind, begin, end), end - begin) for begin, end in ends]
    return [(Segment(file.path, file.relative, kind), size)]


def _row_groups(path: str, label: str, split: int, size: int) -> Iterator[tuple[Segment, int]]:
    try:
        with files.for_arrow(path) as source:
            footer = pq.read_metadata(source)
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


def open_hub_dataset(path: str) -> Any:
    """Open `hf://NAME?config=C&split=S` for streaming. Raises RalmError if it cannot be had."""
    import datasets

    name, _, query = path.removeprefix("hf://").partition("?")
    options = dict(parse_qsl(query))
    if unknown := set(options) - {"config", "split"}:
        raise RalmError(f"{path}: unknown option {sorted(unknown)[0]}: use config= and split=.")
    try:
        return datasets.load_dataset(
            name, options.get("config"), split=options.get("split", "train"), streaming=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RalmError(f"The data set {path} cannot be opened: {reason}.") from None


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
