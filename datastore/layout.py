"""Every path of a store, atomic writes, done-markers and the build lock.

Knows where a file lies and how it comes to lie there whole; knows nothing of what is in it.
"""

import fcntl
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.hold import held
from datastore.refused import explain

TEMPORARY = ".tmp"
# What generations consist of; manifests, markers and the log of what was removed stay as a record.
GENERATION_FOLDERS = (
    "passages",
    "vectors",
    "index",
    "lexical",
    "documents",
    "passage-hashes",
    "line-hashes",
    "near",
    "contamination",
    "takedowns",
    "deleted",
)
_BLOCK = 1 << 22
# What `atomic_write` calls its files: other people's *.tmp are not ours to clear away.
_OWN_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp$")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A finished file: its path relative to the store, its size in bytes and its 128-bit xxh3."""

    path: str
    bytes: int
    xxh3: str


@dataclass(frozen=True, slots=True)
class Marker:
    """What one task of a stage did: its counts and the files it wrote.

    `aside` goes with what is measured, into a file of its own: none of it is in the marker that is written.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    files: tuple[FileInfo, ...] = ()
    aside: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Layout:
    """The paths of one store, as one job sees them.

    `job` is empty for the build that made the store; what changes it later (`0001-add`, `0002-compact`) has
    folders of its own for its stages and for what it removed.
    """

    root: Path
    job: str = ""

    @property
    def pointer(self) -> Path:
        return self.root / "manifest.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def stages(self) -> Path:
        """The done-markers of the job."""
        return self.root / "stages" / self.job

    @property
    def build_file(self) -> Path:
        """The settings and the input splits of the job, fixed before its first task."""
        return self.stages / "build.json"

    @property
    def work(self) -> Path:
        """What stages hand to each other; removed once the store is published."""
        return self.root / "work"

    def manifest(self, generation: int) -> Path:
        return self.root / "manifests" / f"{generation:06d}.json"

    def measured_manifest(self, generation: int) -> Path:
        """What making a generation took; in no checksum, and named by no manifest."""
        return self.root / "manifests" / f"{generation:06d}.measured.json"

    def passages(self, shard: int) -> Path:
        return self.root / "passages" / f"{shard:05d}.arrow"

    def vectors(self, shard: int) -> Path:
        return self.root / "vectors" / f"{shard:05d}.npy"

    def trained(self, key: str) -> Path:
        return self.root / "index" / key / "trained.faiss"

    def card(self, key: str, edition: int) -> Path:
        return self.root / "index" / key / f"card.{edition}.json"

    def lists(self, key: str, edition: int) -> Path:
        """All codes by list, for searching from the disk; derived from those of the shards."""
        return self.root / "index" / key / f"lists.{edition}.bin"

    def documents(self, split: int) -> Path:
        """Hashes of the documents that a split gave the store: identity and text."""
        return self.root / "documents" / self.job / f"{split:05d}.npy"

    def passage_hashes(self, split: int) -> Path:
        """Hashes of the passages that a split gave the store: text, and identity of the document."""
        return self.root / "passage-hashes" / self.job / f"{split:05d}.npy"

    def line_hashes(self, split: int) -> Path:
        """Hashes of the lines that a split gave the store: text, and identity of the document."""
        return self.root / "line-hashes" / self.job / f"{split:05d}.npy"

    def near(self, split: int, part: str) -> Path:
        """What is kept of the documents of a split that near-duplicates were looked for among."""
        return self.root / "near" / self.job / f"{split:05d}.{part}.npy"

    def takedowns(self, generation: int) -> Path:
        return self.root / "takedowns" / f"{generation:06d}.jsonl"

    def deleted(self, passages: str, generation: int) -> Path:
        """Which rows of a shard, named by its passage file, are taken down as of a generation."""
        return self.root / "deleted" / f"{Path(passages).stem}.{generation:06d}.npy"

    @property
    def contamination(self) -> Path:
        """The n-grams of evaluation texts that passages are dropped for, as hashes."""
        return self.root / "contamination" / "grams.arrow"

    def lexical(self, shard: int, part: str) -> Path:
        return self.root / "lexical" / f"{shard:05d}.{part}.npy"

    def codes(self, key: str, shard: int) -> Path:
        return self.root / "index" / key / f"{shard:05d}.codes.npy"

    def removed(self, reason: str, split: int) -> Path:
        return self.root / "removed" / self.job / reason / f"{split:05d}.jsonl"

    def marker(self, stage: str, number: int) -> Path:
        return self.stages / stage / f"{number:05d}.json"

    def measured(self, stage: str, number: int) -> Path:
        return self.stages / stage / f"{number:05d}.measured.json"

    def info(self, path: Path) -> FileInfo:
        """Describe a finished file of this store, reading it once."""
        return FileInfo(str(path.relative_to(self.root)), path.stat().st_size, checksum(path))

    def write(self, path: Path, fill: Callable[[BinaryIO], object]) -> FileInfo:
        """Write a file of this store atomically and describe it."""
        atomic_write(path, fill)
        return self.info(path)

    def mark(self, stage: str, number: int, marker: Marker) -> None:
        """Say that a task is done. Its files are already in place: a marker comes last."""
        content = {
            "counts": dict(marker.counts),
            "files": [[f.path, f.bytes, f.xxh3] for f in marker.files],
        }
        _write_checked(self.marker(stage, number), content)

    def done(self, stage: str, number: int) -> Marker | None:
        """The marker of a finished task, or None. Raises RalmError if it is damaged."""
        path = self.marker(stage, number)
        return read_marker(path) if path.exists() else None

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Write what the job's bytes follow from."""
        _write_checked(self.build_file, settings)

    def read_settings(self) -> dict[str, Any]:
        """What the job was begun with; nothing if it has not been. Raises RalmError if it is damaged."""
        return read_checked(self.build_file) if self.build_file.exists() else {}

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """Hold the store for the moment that a new generation takes; wait while another one is published.

        Apart from `lock`: a takedown must not wait for a build that takes days.
        """
        with self._open(self.root / "manifests" / "lock") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for folder in ("", "manifests", "takedowns", "deleted"):
                # A takedown that was killed: no build may come for long that would clear up after it.
                _clear((self.root / folder).glob(f"*{TEMPORARY}"))
            yield

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store for one build, and clear away what a dead one left half-written.

        Raises RalmError if another live process holds it.
        """
        with self._open(self.lock_file) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                raise RalmError(
                    f"{self.root} is being changed by {handle.read().decode().strip() or 'another process'}: "
                    "wait for it to end, or stop it."
                ) from None
            # First, so that a full disk's leftovers make room for the lock's own line.
            _clear(self.root.rglob(f"*{TEMPORARY}"))
            try:
                handle.truncate(0)
                handle.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            except OSError as error:
                raise explain(error, self.lock_file) from error
            yield

    def _open(self, lock: Path) -> BinaryIO:
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a line that does not fit on the disk must fail here, not when closing.
            return open(lock, "ab+", buffering=0)
        except OSError as error:
            raise explain(error, lock.parent) from error


def _clear(leftovers: Iterable[Path]) -> None:
    """Delete what dead processes have left half-written."""
    for leftover in leftovers:
        if _OWN_TEMPORARY.search(leftover.name) and not held(leftover):
            leftover.unlink(missing_ok=True)


def atomic_write(path: Path, fill: Callable[[BinaryIO], object], mode: Literal["wb", "w+b"] = "wb") -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to disk, then renamed.

    Raises RalmError if the disk is full; nothing is left behind then.
    """
    # A name of its own: a task that Ray runs twice must not write into its twin's file.
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode) as handle:
            # A takedown or a reader may write while another process takes the store's lock and clears up.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
            fill(handle)
            handle.flush()
            os.fsync(handle.fileno())
        replace(temporary, path)
    except OSError as error:
        _forget(temporary)
        raise explain(error, path) from error
    except BaseException:
        _forget(temporary)
        raise


def _forget(temporary: Path) -> None:
    """Delete what a write has left; where even that cannot be done, it is cleared away later."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def replace(source: Path, target: Path) -> None:
    """Rename within one file system, and flush the folder so that the rename survives a power cut."""
    os.replace(source, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def move(source: Path, target: Path) -> None:
    """Rename that may have happened already in an earlier, killed run."""
    if source.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace(source, target)
        except OSError as error:
            raise explain(error, target) from error
    elif not target.exists():
        raise RalmError(
            f"Neither {source} nor {target} exists: give up what was being added (`ralm discard`), or "
            "build the store again in another folder."
        )


def save_array(handle: BinaryIO, array: NDArray[Any]) -> None:
    """Write an array as .npy. numpy's own `save` says nothing of a full disk when a write falls short."""
    array = np.ascontiguousarray(array)
    header = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(handle, header)
    handle.write(array.data)


def checksum(path: Path) -> str:
    """128-bit xxh3 of a file, as 32 hexadecimal digits."""
    digest = xxhash.xxh3_128()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_marker(path: Path) -> Marker:
    """Read a marker. Raises RalmError if it is not what was written; early ones have no checksum."""
    try:
        found = read_json(path)
        content = {name: found[name] for name in ("counts", "files")}
        if found.keys() - content.keys() and found["xxh3"] != _xxh3(content):
            raise ValueError("its checksum differs")
        return Marker(content["counts"], tuple(FileInfo(*file) for file in content["files"]))
    except (RalmError, KeyError, TypeError, ValueError, AttributeError):
        raise RalmError(
            f"{path} is damaged: delete it, and if its store is not finished run the same command again: its "
            "task is done anew."
        ) from None


def _write_checked(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with its checksum in it."""
    write_json(path, {**content, "xxh3": _xxh3(content)})


def read_checked(path: Path) -> dict[str, Any]:
    """Read JSON that may hold its checksum. Raises RalmError if it is not what was written."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise RalmError(f"{path} is damaged (it holds no JSON object): restore it from a copy.")
    stated = found.pop("xxh3", None)
    if stated not in (None, _xxh3(found)):
        raise RalmError(f"{path} is damaged (its checksum differs): restore it from a copy.")
    return found


def _xxh3(content: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(to_json(content))


def to_json(content: Mapping[str, Any]) -> bytes:
    """JSON for a file; equal content gives equal bytes."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(content, option=options)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically."""
    data = to_json(content)
    atomic_write(path, lambda handle: handle.write(data))


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises RalmError if it does not parse."""
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise RalmError(f"{path} is not valid JSON ({error}): the store is damaged there.") from None
