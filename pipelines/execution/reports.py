"""How far tasks have come that are not done yet: word that workers leave, and that the driver reads.

A few digits in a file under `work/`, so that it is the same in this process, in others and on other nodes.
Nothing rests on it but what is shown.

Decisions: docs/decisions/execution.md.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from base.pulse import every
from datastore.files.layout import Layout

# How often a task leaves word at most, and how often it is looked for.
_SECONDS = 1.0


def _folder(layout: Layout, stage: str) -> Path:
    return layout.work / "reports" / stage


class Report:
    """A task's word of how many units it has done."""

    def __init__(self, layout: Layout, stage: str, number: int) -> None:
        self._path = _folder(layout, stage) / str(number)
        self._done, self._said = 0, time.monotonic()

    def add(self, units: int) -> None:
        """Count units that are done; say so, unless it was said just now."""
        self._done += units
        if time.monotonic() - self._said < _SECONDS:
            return
        self._said = time.monotonic()
        with suppress(OSError):  # It is no task's business whether somebody sees how far it is.
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(str(self._done))


class Watch:
    """Adds up what tasks of a stage say on their way and what is left of them when they are done."""

    def __init__(
        self, layout: Layout, stage: str, sizes: Sequence[int], advance: Callable[[int], None]
    ) -> None:
        self._folder, self._sizes, self._advance = _folder(layout, stage), sizes, advance
        self._told: dict[int, int] = {}
        self._finished: set[int] = set()
        self._lock = Lock()

    def done(self, number: int) -> None:
        """Count the rest of a task that is done."""
        with self._lock:
            self._finished.add(number)
            left = self._sizes[number] - self._told.pop(number, 0)
            with suppress(OSError):
                (self._folder / str(number)).unlink(missing_ok=True)
            self._advance(left)

    def look(self) -> None:
        """Count what tasks have said since the last look; of one that began anew nothing, for a while."""
        for number, done in self._reports():
            with self._lock:
                before = self._told.get(number, 0)
                if number not in self._finished and before < done <= self._sizes[number]:
                    self._told[number] = done
                    self._advance(done - before)

    def _reports(self) -> Iterator[tuple[int, int]]:
        with suppress(OSError):
            for path in sorted(self._folder.iterdir()):
                with suppress(OSError, ValueError):  # Half written, or gone meanwhile.
                    yield int(path.name), int(path.read_text())

    def forget(self) -> None:
        """Take no word of an earlier run for one of this."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                path.unlink(missing_ok=True)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Look every second, until the stage is over."""
    watch.forget()
    with every(_SECONDS, watch.look):
        yield
