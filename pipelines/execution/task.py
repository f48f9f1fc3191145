"""One task of a stage, and what comes of it when it is done."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pipelines.execution.stage import Stage, perform


class Task(NamedTuple):
    """One task of a stage."""

    stage: Stage
    number: int

    @property
    def on_gpu(self) -> bool:
        return getattr(self.stage, "device", "cpu") != "cpu"

    def perform(self) -> None:
        perform(self.stage, self.number)


# Told of each task that is done; says which tasks may be carried out now because of it.
Done = Callable[[Task], Iterable[Task]]
