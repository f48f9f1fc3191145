"""Whether files are still what they were when they were written, and what is to be done if not.

What a job reads, it compares first. A flipped bit that a job copies, or goes by, would be given a checksum of
its own and never be found again.

Decisions: docs/decisions/laws-and-bytes.md.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.writing import checksum
from datastore.objects.origin import Origin, Stored

# What is to be done about a file that is gone or damaged: what its stage worked on is gone too.
MEND = "restore it from a copy, or build again in another folder."
_AT_A_TIME = 8
# A file that was changed so lately may change again without its time telling: clocks of file systems tick.
_SETTLED = 1.0


def require_whole(root: Path, files: Iterable[Stored], mend: str = MEND) -> None:
    """Compare files of a store with their checksums. Raises RalmError naming the first that differs.

    A process compares a file once, unless it has been written to since. Of a store in object storage a file
    of the cache that differs is fetched again.
    """
    listed = list(files)
    origin = Origin.of(root)
    if origin is not None:
        origin.fetch(listed, full=True)
        return
    compare_all(root, listed, mend)


def compare_all(root: Path, files: Iterable[Stored], mend: str = MEND) -> None:
    """The same for files that are nowhere else: those that a job has written."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:  # Hashing and reading let other threads run.
        list(pool.map(lambda file: compare(root / file.path, file, mend), files))


def compare(path: Path, file: Stored, mend: str = MEND) -> None:
    """Compare one file, wherever it lies, with what was written of it. Raises RalmError if it differs."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise RalmError(f"{path} is missing: {mend}") from None
    if found.st_size != file.bytes:
        raise RalmError(f"{path} has {found.st_size} bytes instead of {file.bytes}: {mend}")
    settled = time.time() - found.st_mtime > _SETTLED
    differs = _differs if settled else _differs.__wrapped__
    if differs(path, file.xxh3, found.st_size, found.st_mtime_ns, found.st_ino):
        raise RalmError(f"{path} is corrupted (its checksum differs): {mend}")


@lru_cache(maxsize=1 << 16)
def _differs(path: Path, xxh3: str, size: int, changed: int, number: int) -> bool:
    """Whether a file's checksum is another one; size, time and number tell its states apart."""
    return checksum(path) != xxh3


def file_problem(layout: Layout, file: Stored, full: bool) -> str | None:
    """What is wrong with a file of the store, in one sentence, or None. `full` compares checksums."""
    path = layout.root / file.path
    if not path.exists():
        return f"{path} is missing: {MEND}"
    found = path.stat().st_size
    if found != file.bytes:
        return f"{path} has {found} bytes where the manifest says {file.bytes}: {MEND}"
    if full and checksum(path) != file.xxh3:
        return f"{path} is corrupted (its checksum differs): {MEND}"
    return None
