"""Files written whole or not at all, and what describes them. Knows no path of a store.

Decisions: docs/decisions/execution.md.
"""

import fcntl
import os
import re
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import xxhash
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.files.hold import held
from datastore.files.refusals import explain

TEMPORARY = ".tmp"
# What `atomic_write` calls its files: other people's *.tmp are not ours to clear away.
_OWN_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.tmp$")
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A finished file: its path relative to the store, its size in bytes and its checksum, a 128-bit xxh3."""

    path: str
    bytes: int
    xxh3: str


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
    found = xxhash.xxh3_128()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def checksum_of(data: bytes) -> str:
    """The checksum of a file of these bytes."""
    return xxhash.xxh3_128_hexdigest(data)


def clear(leftovers: Iterable[Path]) -> None:
    """Delete what dead processes have left half-written."""
    for leftover in leftovers:
        if _OWN_TEMPORARY.search(leftover.name) and not held(leftover):
            leftover.unlink(missing_ok=True)
