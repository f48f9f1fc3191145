"""Locks of those who change a store: one job at a time, and one generation published at a time."""

import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from base.errors import RalmError
from datastore.files.refusals import explain
from datastore.files.writing import TEMPORARY, clear


@contextmanager
def publishing(lock: Path, folders: Iterable[Path]) -> Iterator[None]:
    """Hold a store for publishing, waiting for it; clear away what a dead process left in these folders."""
    with _open(lock) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for folder in folders:
            clear(folder.glob(f"*{TEMPORARY}"))
        yield


@contextmanager
def changing(root: Path, lock: Path) -> Iterator[None]:
    """Hold a store for one job, and clear away what a dead one left half-written.

    Raises RalmError if another live process holds it.
    """
    with _open(lock) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise RalmError(
                f"{root} is being changed by {handle.read().decode().strip() or 'another process'}: "
                "wait for it to end, or stop it."
            ) from None
        # First, so that a full disk's leftovers make room for the lock's own line.
        clear(root.rglob(f"*{TEMPORARY}"))
        try:
            handle.truncate(0)
            handle.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        except OSError as error:
            raise explain(error, lock) from error
        yield


def _open(lock: Path) -> BinaryIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a line that does not fit on the disk must fail here, not when closing.
        return open(lock, "ab+", buffering=0)
    except OSError as error:
        raise explain(error, lock.parent) from error
