"""The log of requests: a line of JSON each, without the text of prompts unless asked for.

A line that cannot be written is lost and counted: a full disk stops no answer. Knows no HTTP.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from base.errors import RalmError
from base.numbers import dumps


class Journal:
    """Writes lines to a file, or to standard error. `lost` is told of each that could not be written."""

    def __init__(self, path: Path | None, lost: Callable[[], None]) -> None:
        """Raises RalmError if the file cannot be opened."""
        self._lost = lost
        self._own: TextIO | None = None
        if path is not None:
            try:
                self._own = path.open("a", encoding="utf-8", buffering=1)
            except OSError as error:
                raise RalmError(f"The log {path} cannot be written: {error.strerror}.") from None

    def write(self, entry: Mapping[str, Any]) -> None:
        """Add a line."""
        out = self._own or sys.stderr
        try:
            # One call, so that lines of several threads do not mix.
            out.write(dumps(entry) + "\n")
            out.flush()
        except (OSError, ValueError):  # A full disk, a pipe whose reader has gone, a closed stream.
            self._lost()
