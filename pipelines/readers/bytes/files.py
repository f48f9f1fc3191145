"""Files by their path, wherever they lie: sizes, listings and reads, on local disks and in object storage.

Local paths go straight to the system. `s3://` and `gs://` go through pyarrow, and whatever fails there is a
`Unavailable` at once: it is the connection's fault, never a record's, and no task may count it as damage.

Decisions: docs/decisions/object-storage.md, sources.md.
"""

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa

from base.errors import RalmError, Unavailable
from datastore.generations.generation import is_store
from datastore.objects.address import Address
from datastore.objects.origin import CACHE

SCHEMES = ("s3://", "gs://")
# One request for so much: each takes tens of milliseconds before its first byte.
_REMOTE_BLOCK = 8 << 20
_REQUESTS = 16
# A manifest of a store in object storage, whose objects are called by path and checksum.
_MANIFEST = re.compile(r"manifests/\d{6}\.json\.[0-9a-f]{32}")
# Two bytes that UTF-8 never holds.
_UNLIKELY = (0xF5, 0xFF)

One = TypeVar("One")
Other = TypeVar("Other")


def is_remote(path: str) -> bool:
    """Whether a path names something in object storage."""
    return path.startswith(SCHEMES)


def _filesystem_of(address: Address) -> Any:
    """What reads it, made once in a process."""
    return _filesystem(f"{address.scheme}://{address.authority}?{address.options}")


@lru_cache
def _filesystem(uri: str) -> Any:
    import pyarrow.fs

    with _explained(uri.rstrip("?")):
        return pyarrow.fs.FileSystem.from_uri(uri)[0]


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise Unavailable(
            f"{path} cannot be read ({reason}): check the bucket, the credentials (AWS_*, or Google's) and "
            "the network, then run the same command again."
        ) from None


def parts(path: str) -> tuple[str, ...]:
    """The parts of a path, from the outermost on."""
    if is_remote(path):
        return Address.parse(path).parts
    return tuple(map(spelled, Path(os.path.abspath(path)).parts))  # noqa: PTH100


def spelled(name: str) -> str:
    """A file's name as it becomes part of ids: one that is no UTF-8 is spelled with escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def last_part(path: str) -> str:
    """The last part of a path."""
    return Address.parse(path).key.rpartition("/")[2] if is_remote(path) else Path(path).name


def size(path: str) -> int:
    """Bytes of a file. Raises OSError for a local file, RalmError for a remote one, that cannot be had."""
    if not is_remote(path):
        return Path(path).stat().st_size
    found = _info(path).size
    if found is None:
        raise RalmError(f"{path} cannot be read (there is no such object): put it back and run again.")
    return int(found)


def is_file(path: str) -> bool:
    """Whether a path names a file, not a folder or nothing."""
    return _info(path).is_file if is_remote(path) else Path(path).is_file()


def _info(path: str) -> Any:
    address = Address.parse(path)
    with _explained(path):
        return _filesystem_of(address).get_file_info(address.inner)


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a listing: where it lies, its path within what is listed, and its size in bytes."""

    path: str
    relative: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """The files under a folder or prefix, and the datastores there, whose files are none of them.

    Stores are named by their path within it, "" for the folder itself; the one that is made of the files is
    not named.
    """

    files: tuple[ListedFile, ...]
    stores: tuple[str, ...]


def walk(root: str, own: str = "") -> Listing:
    """What is under a folder or prefix, in one order everywhere; hidden files and links to folders are not.

    Of each folder its files come first, then its folders. Empty if there is no such folder. `own` is the
    store that is made of the files: it may lie among them.
    """
    return _walk_objects(root, own) if is_remote(root) else _walk_folders(root, own)


def _walk_folders(root: str, own: str) -> Listing:
    found, stores = list[ListedFile](), list[str]()
    mine = os.path.relpath(os.path.realpath(own), os.path.realpath(root)) if own else None
    for folder, folders, names in os.walk(root, onerror=_unreadable):
        within = os.path.relpath(folder, root)
        if within == mine or (_may_be_store(folders, names) and is_store(Path(folder))):
            if within == "." or within != mine:
                stores.append(spelled("" if within == "." else within))
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file():
                relative = spelled(path.relative_to(root).as_posix())
                # By its own name, not what it links to: that says what kind of file it is.
                found.append(ListedFile(os.path.abspath(path), relative, path.stat().st_size))  # noqa: PTH100
    return Listing(tuple(found), tuple(stores))


def _may_be_store(folders: Sequence[str], names: Sequence[str]) -> bool:
    return bool({"stages", "manifests"} & {*folders} or {"manifest.json", CACHE} & {*names})


def _unreadable(error: OSError) -> None:
    raise RalmError(f"The folder {error.filename} cannot be read ({error.strerror}): mend its permissions.")


def _walk_objects(root: str, own: str) -> Listing:
    import pyarrow.fs

    address = Address.parse(root)
    with _explained(root):
        selector = pyarrow.fs.FileSelector(address.inner, allow_not_found=True, recursive=True)
        listed = [info for info in _filesystem_of(address).get_file_info(selector) if info.is_file]
    below = len(address.inner) + 1
    parts = {info.path: tuple(info.path[below:].split("/")) for info in listed}
    mine = Address.parse(own).inner if is_remote(own) else None
    pointers = {names[:-1] for names in parts.values() if names[-1] == "manifest.json"}
    stores = {n[:-2] for n in parts.values() if _MANIFEST.fullmatch("/".join(n[-2:])) and n[:-2] in pointers}
    left_out = {tuple(mine[below:].split("/"))} if mine and mine.startswith(f"{address.inner}/") else set()
    # A bucket lists by whole keys; a folder's own files come before its folders.
    listed.sort(key=lambda info: [*((1, p) for p in parts[info.path][:-1]), (0, parts[info.path][-1])])
    files = tuple(
        ListedFile(
            str(replace(address, key=info.path[len(address.bucket) + 1 :])),
            "/".join(parts[info.path]),
            info.size,
        )
        for info in listed
        if not any(part.startswith(".") for part in parts[info.path])
        and not any(parts[info.path][:n] in stores | left_out for n in range(len(parts[info.path])))
    )
    return Listing(files, tuple(sorted("/".join(store) for store in stores - left_out)))


def each(function: Callable[[One], Other], items: Iterable[One], remote: bool) -> list[Other]:
    """A function of every item, in order; where each waits for a server, several at a time."""
    if not remote:
        return [function(item) for item in items]
    with ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(function, items))


def open_file(path: str, buffering: int = -1, block: int = _REMOTE_BLOCK) -> BinaryIO:
    """Open a file for reading from some byte on.

    `buffering` is as for `open`, of a local one; `block` is what one request brings of a remote one.
    """
    if not is_remote(path):
        return open(path, "rb", buffering=buffering)
    return io.BufferedReader(_Object(path), block)


def open_short(path: str) -> BinaryIO:
    """Open a file for a few reads here and there: of a remote one each is a request for just that."""
    # BinaryIO is what typing calls them all.
    return _Object(path) if is_remote(path) else open(path, "rb")  # type: ignore[return-value]


@contextmanager
def for_arrow(path: str) -> Iterator[Any]:
    """What pyarrow's readers take: the path of a local file, an open remote one."""
    if not is_remote(path) and spelled(path) == path:
        yield path
        return
    with open_short(path) as opened:  # pyarrow takes no path that is no UTF-8.
        yield opened


class _Object(io.RawIOBase):
    """An object's bytes; every read is one request, and gives all it was asked for or fails."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = 0
        address = Address.parse(path)
        with _explained(path):
            self._file = _filesystem_of(address).open_input_file(address.inner)
            self._size = int(self._file.size())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        with _explained(self._path):
            # Of an object that was replaced by a shorter one pyarrow says that all came, and leaves the rest
            # as it was. So the last byte tells; should it be the unlikely one, it is asked for once more.
            for unlikely in _UNLIKELY:
                view[wanted - 1] = unlikely
                self._file.seek(self._at)
                if self._file.readinto(view[:wanted]) == wanted and view[wanted - 1] != unlikely:
                    self._at += wanted
                    return wanted
            raise OSError("it has become shorter while it was read")

    def readall(self) -> bytes:
        # The inherited one asks for 8 KiB at a time.
        data = bytearray(max(0, self._size - self._at))
        self.readinto(data)
        return bytes(data)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()
