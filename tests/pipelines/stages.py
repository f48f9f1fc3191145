"""Stages without a corpus: what executors do with their tasks is all that matters."""

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from base.errors import RalmError, Unavailable
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.execution.task import Task

FAULTS = {
    "broken": OSError(errno.ESTALE, "Stale file handle"),
    "gone": OSError(errno.EIO, "Input/output error"),
    "unavailable": Unavailable("The bucket does not answer."),
}


@dataclass(frozen=True)
class Failing:
    """A stage whose second task fails: by a sentence, by dying (once, or always), or by the system's fault.

    Of "broken" and "unavailable" files twice, of "gone" ones always.
    """

    layout: Layout
    how: str
    name = "failing"
    unit = "tasks"

    def sizes(self):
        return [1, 1, 1]

    def run(self, number):
        died = self.layout.root / "died"
        if number == 1 and self.how == "sentence":
            raise RalmError("Task 1 says what to mend.")
        if number == 1 and self.how in FAULTS:
            died.mkdir(parents=True, exist_ok=True)
            tries = len(list(died.iterdir()))
            if tries < 2 or self.how == "gone":
                (died / str(tries)).touch()
                raise FAULTS[self.how]
            return Marker({"number": number, "tries": tries})
        if number == 1 and (self.how == "always" or not died.exists()):
            died.parent.mkdir(exist_ok=True)
            Path(died).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Marker({"number": number})


@dataclass(frozen=True)
class Noting:
    """A stage that notes in which process its tasks ran; its device says who carries them out."""

    layout: Layout
    name: str
    device: str = "cpu"
    # The stage whose last task is to be done before the first of this one ends.
    beside: str = ""
    unit = "tasks"

    def sizes(self):
        return [1, 1, 1]

    def run(self, number):
        given_up = time.monotonic() + 60
        while self.beside and self.layout.done(self.beside, 2) is None:
            assert time.monotonic() < given_up
        return Marker({"number": number, "process": os.getpid()})


def tasks(stage, *numbers):
    return [Task(stage, number) for number in numbers]


def nothing(task):
    """Nothing comes of any task."""
    return ()


class Told:
    """Remembers which tasks were done; of one stage's comes another's, number by number."""

    def __init__(self, first=None, second=None):
        self.first, self.second, self.heard = first, second, []

    def __call__(self, task):
        self.heard.append(task)
        return [Task(self.second, task.number)] if self.first and task.stage is self.first else []

    @property
    def numbers(self):
        return [task.number for task in self.heard]
