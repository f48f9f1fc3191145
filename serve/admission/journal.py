"""The log of requests: a line of JSON each, without the text of prompts unless asked for.

A line that cannot be written is lost and counted: a full disk stops no answer. Knows no HTTP.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from base.errors import RalmError
from base.numbers import dumps


class Journal:
    """Writes lines to a file, or to standard error. `lost` is told of each that could not be written."""

    def __init__(self, path: Path | None, lost: Callable[[], None]) -> None:
        """Raises RalmError if the file cannot be opened."""
        self._path, self._lost = path, lost
        if path is not None:
            try:
                _append(path, b"")
            except OSError as error:
                raise RalmError(f"The log {path} cannot be written: {error.strerror}.") from None

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add a line, in one call: those of several threads do not mix."""
        line = dumps(entry) + "\n"
        try:
            if self._path is None:
                sys.stderr.write(line)
                sys.stderr.flush()
            else:
                _append(self._path, line.encode())
        except (OSError, ValueError):  # A full disk, a pipe whose reader has gone, a closed stream.
            self._lost()


def _append(path: Path, data: bytes) -> None:
    # Opened for each line: whoever turns logs over may move the file away.
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        if data:
            os.write(log, data)
    finally:
        os.close(log)
