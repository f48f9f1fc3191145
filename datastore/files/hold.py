"""Locks of readers: a file that somebody holds is not swept away.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


class Hold:
    """Holds a file as one of its readers, for as long as this object lives or until it is released."""

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        self._file = os.open(path, os.O_RDONLY)
        # A file system that knows no locks has no `held` either.
        with suppress(OSError):
            fcntl.flock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        """Hold it no longer."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.release()


def held(path: Path) -> bool:
    """Whether somebody, in this process or another, holds a file; True where nobody can say."""
    try:
        # Open for writing too: NFS gives no exclusive lock otherwise.
        with open(path, "r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # BlockingIOError, or no locks here: better to keep what may be in use.
    return False
