"""What is to be measured by tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from base.errors import RalmError
from lm.conditioning import DEFAULT_BUDGET
from retriever.request import Search


@dataclass(frozen=True)
class TaskStudy:
    """Tasks by name, and how they are asked. Without a `search` the reader is asked alone.

    `questions` is the file that ralm's own tasks ask; `queries` name the field, by tasks, that is looked for.
    `budget` [tokens] is for passages. `against_alone` asks the reader alone, too. `cache` is a folder of
    answers that are taken again where nothing has changed that they depend on. Without an `output` folder
    nothing is written.
    """

    tasks: tuple[str, ...]
    output: Path | None = None
    search: Search | None = None
    questions: Path | None = None
    queries: Mapping[str, str] = field(default_factory=dict)
    budget: int = DEFAULT_BUDGET
    fewshot: int | None = None
    limit: int | None = None
    chat: bool = False
    system: str | None = None
    against_alone: bool = False
    cache: Path | None = None
    include: Path | None = None
    seed: int = 1234

    def __post_init__(self) -> None:
        if not self.tasks:
            raise RalmError("There is no task to ask: name some, as --tasks arc_easy,ralm_qa.")
        if self.limit is not None and self.limit < 1:
            raise RalmError(f"The limit of instances must be at least 1, not {self.limit}.")
        if self.fewshot is not None and self.fewshot < 0:
            raise RalmError(f"The number of few-shot examples must not be negative: {self.fewshot}.")
        if self.budget < 1:
            raise RalmError(f"The token budget of passages must be at least 1, not {self.budget}.")
        if self.against_alone and self.search is None:
            raise RalmError("Without passages there is nothing to compare with the reader alone: give -k.")
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise RalmError(f"{self.output} is a file: choose a folder for the results.")
