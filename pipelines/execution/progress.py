"""What a person sees while a build runs: bars on a terminal, plain lines elsewhere.

Decisions: docs/decisions/execution.md.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from base.amounts import amount, duration

_LINE_SECONDS = 10.0
# Columns that a bar with all its figures takes.
_WIDE = 112
# Characters of a total that leaves no room for a rate beside it on a narrow one.
_LONG = 9


class BuildProgress(Protocol):
    """Told of stages as they start and advance, and what else there is to say between them.

    `total` and `done` count the stage's unit; `stop` is told of a stage that ends before it is finished.
    """

    def say(self, text: str) -> None: ...
    def start(self, stage: str, unit: str, total: int, done: int) -> None: ...
    def advance(self, units: int) -> None: ...
    def finish(self) -> None: ...
    def stop(self) -> None: ...


@contextmanager
def shown(progress: BuildProgress, stage: str, unit: str, total: int, done: int = 0) -> Iterator[None]:
    """Show a stage for as long as it runs: finished, or left off where it is cut short."""
    progress.start(stage, unit, total, done)
    try:
        yield
    except BaseException:
        progress.stop()
        raise
    progress.finish()


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None: ...
    def start(self, stage: str, unit: str, total: int, done: int) -> None: ...
    def advance(self, units: int) -> None: ...
    def finish(self) -> None: ...
    def stop(self) -> None: ...


class Rate:
    """Units a second since a stage started, work of earlier runs left out."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done, self._before = total, done, done
        self._started = time.perf_counter()

    def advance(self, units: int) -> None:
        self.done += units

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @property
    def per_second(self) -> float:
        return (self.done - self._before) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        rate = self.per_second
        return (self.total - self.done) / rate if rate else None


class Lines:
    """A line when a stage starts and ends, and every ten seconds between."""

    def say(self, text: str) -> None:
        _to_stderr(text)

    def start(self, stage: str, unit: str, total: int, done: int) -> None:
        self._stage, self._unit, self._rate = stage, unit, Rate(total, done)
        self._said = time.perf_counter()
        resumed = f", {amount(done, unit)} done before" if done else ""
        self._say(f"{amount(total, unit)}{resumed}")

    def advance(self, units: int) -> None:
        self._rate.advance(units)
        if time.perf_counter() - self._said < _LINE_SECONDS:
            return
        self._said = time.perf_counter()
        left = self._rate.seconds_left
        done = f"{amount(self._rate.done, self._unit)} of {amount(self._rate.total, self._unit)}"
        self._say(
            f"{done}, {amount(self._rate.per_second, self._unit)}/s, "
            f"{duration(left) if left is not None else 'unknown time'} left"
        )

    def finish(self) -> None:
        rate = amount(self._rate.per_second, self._unit)
        self._say(f"done in {duration(self._rate.seconds)}, {rate}/s")

    def stop(self) -> None: ...

    def _say(self, text: str) -> None:
        _to_stderr(f"{self._stage:>10}  {text}")


class Bars:
    """A bar for each stage; a finished one stays on the screen."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, highlight=False)

    def start(self, stage: str, unit: str, total: int, done: int) -> None:
        self._unit, self._rate = unit, Rate(total, done)
        self._progress = Progress(*self._columns(), console=self._console)
        self._task = self._progress.add_task(stage, total=max(total, 1), amount="", rate="", left="")
        self._progress.start()
        self._show()

    def _columns(self) -> list[ProgressColumn]:
        """What a line shows: on a narrow terminal less of it, for what does not fit is cut in the middle."""
        if self._console.width < _WIDE:
            whole = amount(self._rate.total, "bytes" if self._unit == "bytes" else "")
            rate = [TextColumn("[cyan]{task.fields[rate]:>18}")] if len(whole) < _LONG else []
            return [
                TextColumn("{task.description:>10}"),
                BarColumn(4),
                TextColumn("{task.fields[amount]:>27}"),
                *rate,
                TextColumn("[dim]{task.fields[left]}"),
            ]
        return [
            TextColumn("{task.description:>10}"),
            BarColumn(28),
            TextColumn("{task.fields[amount]:>28}"),
            TextColumn("[cyan]{task.fields[rate]:>20}"),
            TimeElapsedColumn(),
            TextColumn("[dim]left"),
            TimeRemainingColumn(compact=True),
        ]

    def advance(self, units: int) -> None:
        self._rate.advance(units)
        self._show()

    def finish(self) -> None:
        self._progress.update(self._task, completed=max(self._rate.total, 1))
        self._progress.stop()

    def stop(self) -> None:
        """Give the terminal back as it was: the cursor, above all."""
        self._progress.stop()

    def _show(self) -> None:
        rate, left = self._rate.per_second, self._rate.seconds_left
        done = amount(self._rate.done, "bytes" if self._unit == "bytes" else "")
        self._progress.update(
            self._task,
            completed=self._rate.done,
            amount=f"{done} of {amount(self._rate.total, self._unit)}",
            rate=f"{amount(rate, self._unit)}/s" if rate else "",
            left="" if left is None else f"{duration(left)} left" if left else duration(self._rate.seconds),
        )


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def for_terminal() -> BuildProgress:
    """Bars if standard error is a terminal, else lines."""
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines()
