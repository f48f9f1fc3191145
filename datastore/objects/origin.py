"""A store in object storage: a folder of this machine that mirrors it, what is fetched and what is put.

The folder, the cache, is laid out as any store, so everything else works on it as on a local one; a file in
it names the store's address. Nothing in the bucket is written twice but the pointer and what was measured:

- Objects of the store's files are called by path and checksum (`vectors/00000.npy.3f0c...`). Two machines
  that write the same path at once write two objects; the loser's is an orphan and spoils nothing.
- `objects/<checksum>` in the cache is a hard link to a file whose bytes have been compared. A file that is no
  link to its checksum's is looked at again or fetched: the bucket may hold another store today.
- The pointer `manifest.json` is put on condition that it is the one the new generation was made from. That
  put decides between machines; the locks of the cache (`publishing`, `lock`, `Hold`) hold within one machine.

What is not there: tasks of a build do not write to the bucket as they end. A build, an addition and a
compaction run in the cache of the machine they were begun on, or in one that several share (RALM_CACHE on a
common file system), go on there, and are put when they are done; their done-markers stay there. `compact` and
`discard` free the cache alone, since nobody can say which generations other machines read: objects go by
their age (`sweep.py`). `verify` compares the sizes of objects, and bytes as they were fetched.

Decisions: docs/decisions/object-storage.md.
"""

import os
import re
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Protocol

import orjson
import xxhash

from base.errors import RalmError
from base.invalid import is_unicode
from datastore.files.json import read_json, write_json
from datastore.files.layout import MANIFESTS, REMOVED, Folder
from datastore.files.writing import atomic_write, checksum, checksum_of
from datastore.objects.address import Address
from datastore.objects.bucket import Bucket

POINTER = "manifest.json"
# What a store's objects begin with: anything else under its address is somebody else's.
FOLDERS = (*Folder, MANIFESTS, REMOVED)
# In a cache, it names the address that this mirrors.
CACHE = "origin.json"
# A path library makes one slash of two.
_S3 = re.compile(r"^s3:/+")
_REQUESTS = 8
# Less than any sweep leaves alone, by more than clocks are apart.
_YOUNG = timedelta(hours=12)


class Stored(Protocol):
    """A file of a store, as manifests list it."""

    @property
    def path(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def xxh3(self) -> str: ...


def locate(store: Path | str) -> Path:
    """The folder of a store: itself, or the cache of one in object storage, which begins empty."""
    text = str(store)
    if "\0" in text or not is_unicode(text):
        raise RalmError(f"{text!r} can be no store: its name is no UTF-8, choose another one.")
    if text.startswith("gs:/"):
        raise RalmError(f"{text} can be no store: choose a folder, or s3://BUCKET/PREFIX.")
    if not _S3.match(text):
        return Path(text)
    address = str(Address.parse(_S3.sub("s3://", text)))
    name = PurePosixPath(Address.parse(address).inner).name
    root = cache_root() / f"{name}-{xxhash.xxh3_64_hexdigest(address.encode())}"
    if not (root / CACHE).exists():
        write_json(root / CACHE, {"address": address})
    return root


def cache_root() -> Path:
    """Where caches lie: $RALM_CACHE, or `ralm` in the user's cache folder."""
    if stated := os.environ.get("RALM_CACHE"):
        return Path(stated).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "ralm"


def address_of(root: Path | str) -> str:
    """What to call a store: its address, or its folder."""
    origin = Origin.of(Path(root))
    return str(root) if origin is None else str(origin.bucket.address)


def name_of(root: Path) -> str:
    """What people call a store: the last part of its address or folder."""
    return Path(address_of(root.absolute()).partition("?")[0]).name


def fetch(root: Path, files: Iterable[Stored], full: bool = False) -> None:
    """See to it that files of a store lie in its folder; `full` compares the checksums of those that do."""
    origin = Origin.of(root)
    if origin is not None:
        origin.fetch(files, full)


@dataclass(frozen=True)
class Origin:
    """Where the store that a cache folder mirrors lies."""

    root: Path
    bucket: Bucket

    @classmethod
    def of(cls, root: Path) -> "Origin | None":
        """The origin of a folder's store, None if it is a store of its own."""
        path = root / CACHE
        return cls(root, Bucket(Address.parse(read_json(path)["address"]))) if path.exists() else None

    def pointer(self) -> tuple[bytes, str] | None:
        """The pointer's bytes and ETag; None if nothing is published."""
        return self.bucket.read(POINTER)

    def strangers(self) -> list[str]:
        """Some objects under the address that are no store's."""
        return [key for key in self.bucket.listed(1000) if key.split("/")[0] not in (*FOLDERS, POINTER)]

    def fetch(self, files: Iterable[Stored], full: bool = False) -> None:
        """Download what the cache lacks. Raises RalmError for an object that is missing or damaged."""
        missing = [file for file in {f.path: f for f in files}.values() if not self._holds(file, full)]
        with ThreadPoolExecutor(_REQUESTS) as pool:
            list(pool.map(self._fetch, missing))

    def _holds(self, file: Stored, full: bool) -> bool:
        path, proof = self._path(file.path), self._proof(file)
        if not (path.exists() and proof.exists() and path.samefile(proof)):
            return False
        return path.stat().st_size == file.bytes and not (full and checksum(path) != file.xxh3)

    def _fetch(self, file: Stored) -> None:
        path, proof = self._path(file.path), self._proof(file)
        if not _is(proof, file):
            if _is(path, file):  # This machine made it.
                _link(path, proof)
                return
            self.bucket.download(_key(file), proof)
        if not _is(proof, file):
            proof.unlink()
            raise RalmError(
                f"{_key(file)} of {self.bucket.address} is damaged (its checksum differs): put it back from "
                "a copy, or build again at another address."
            )
        _link(proof, path)

    def fetch_manifest(self, relative: str, xxh3: str) -> Path:
        """A generation's manifest in the cache; not written where it is there, for readers hold it."""
        path = self._path(relative)
        if not path.exists() or checksum(path) != xxh3:
            found = self.bucket.read(f"{relative}.{xxh3}")
            if found is None or checksum_of(found[0]) != xxh3:
                raise RalmError(
                    f"{relative}.{xxh3} of {self.bucket.address} is missing or damaged: put it back from a "
                    "copy, or build again at another address."
                )
            atomic_write(path, lambda handle: handle.write(found[0]))
        return path

    def fetch_card(self, path: Path, index: str) -> None:
        """The card of an index, if one was put."""
        found = self.bucket.read(self._card(path, index))
        if found is not None and (not path.exists() or path.read_bytes() != found[0]):
            atomic_write(path, lambda handle: handle.write(found[0]))

    def put_card(self, path: Path, index: str) -> None:
        """Put the card of an index, if there is one, in the place of what was measured before."""
        if path.exists():
            self.bucket.write(self._card(path, index), path.read_bytes())

    def _card(self, path: Path, index: str) -> str:
        return f"{path.relative_to(self.root).as_posix()}.{index}"

    def put(self, files: Iterable[Stored], settled: Iterable[Stored] = ()) -> None:
        """Put what the bucket lacks. Raises RalmError if a file is not what it was when it was made.

        What is there already, but neither among the `settled` files of the current generation nor new, is put
        again: a sweep may be about to delete it.
        """
        young = datetime.now(UTC) - _YOUNG
        known = {_key(file) for file in settled}
        there = {
            key: one.bytes
            for key, one in self.bucket.listed().items()
            if key in known or one.modified > young
        }
        listed = {_key(file): file for file in files}
        new = [file for key, file in listed.items() if there.get(key) != file.bytes]
        with ThreadPoolExecutor(_REQUESTS) as pool:
            list(pool.map(self._put, new))

    def _put(self, file: Stored) -> None:
        path = self._path(file.path)
        if not _is(path, file):
            raise RalmError(
                f"{path} is missing or has been changed since it was written: delete {self.root} and run the "
                "same command again."
            )
        self.bucket.upload(_key(file), path)

    def publish(self, manifest: tuple[str, bytes], pointer: bytes, generation: int) -> None:
        """Make a generation the current one. Raises RalmError if it is not the next one, or comes too late.

        `manifest` is its path and its bytes. All its files must have been put.
        """
        path, data = manifest
        key = f"{path}.{checksum_of(data)}"
        self.bucket.write(key, data)
        if self.bucket.replace(key, data + b"\n", None):
            self.bucket.write(key, data)
            raise RalmError(
                f"The server of {self.bucket.address} does not know conditional puts (If-None-Match), so "
                "that two machines could spoil each other's work: choose another one."
            )
        there = self.pointer()
        if there is not None and there[0] == pointer:
            return
        if self._generation(there) != generation - 1 or not self.bucket.replace(
            POINTER, pointer, None if there is None else there[1]
        ):
            raise RalmError(
                f"{self.bucket.address} was changed by somebody else meanwhile: run the same command again."
            )

    def _generation(self, pointer: tuple[bytes, str] | None) -> int:
        """The generation that a pointer names, if the cache's next one was made from just that; else -1."""
        if pointer is None:
            return 0
        found = orjson.loads(pointer[0])
        seen = self._path(found["file"])
        return int(found["generation"]) if seen.exists() and checksum(seen) == found["xxh3"] else -1

    def problems(self, files: Iterable[Stored]) -> list[str]:
        """Which objects are missing or have another size than they should, one sentence each."""
        there = {key: one.bytes for key, one in self.bucket.listed().items()}
        return [
            f"{_key(file)} of {self.bucket.address} is missing or has another size than the manifest says: "
            "put it back from a copy, or build again at another address."
            for file in files
            if there.get(_key(file)) != file.bytes
        ]

    def keys(self, files: Iterable[Stored], cards: Iterable[tuple[Path, str]]) -> set[str]:
        """What the objects of these files and cards are called."""
        return {_key(file) for file in files} | {self._card(path, index) for path, index in cards}

    def forget(self) -> None:
        """Delete the bytes that no file of the cache has any more."""
        for proof in (self.root / "objects").glob("*"):
            with suppress(FileNotFoundError):
                if proof.stat().st_nlink == 1:
                    proof.unlink()

    def _path(self, relative: str) -> Path:
        found = PurePosixPath(relative)
        if found.is_absolute() or ".." in found.parts:
            raise RalmError(
                f"{self.bucket.address} lists a file outside of itself ({relative}): do not use it."
            )
        return self.root / relative

    def _proof(self, file: Stored) -> Path:
        return self.root / "objects" / file.xxh3


def _key(file: Stored) -> str:
    return f"{file.path}.{file.xxh3}"


def _is(path: Path, file: Stored) -> bool:
    return path.is_file() and path.stat().st_size == file.bytes and checksum(path) == file.xxh3


def _link(source: Path, target: Path) -> None:
    """Make a hard link in the place of what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    os.link(source, temporary)
    os.replace(temporary, target)
    # Renaming one link to another of the same file does nothing.
    temporary.unlink(missing_ok=True)
