"""Where a task's passages come from, how many tokens they may take, and what became of them."""

from dataclasses import dataclass, field

from lm.conditioning import DEFAULT_BUDGET
from pipelines.tasks.finding import Finder
from pipelines.tasks.queries import Queries


@dataclass
class Tally:
    """What became of the passages, in instances: of whole texts these are strides.

    `bare`: without a question, or nothing was found. `shortened`: fewer or shorter passages than were found,
    by the budget; `squeezed`: even fewer, since the reader's context holds no more beside the prompt.
    """

    instances: int = 0
    bare: int = 0
    shortened: int = 0
    squeezed: int = 0


@dataclass
class Passages:
    """Where passages come from and how many tokens they may take."""

    finder: Finder
    queries: Queries
    budget: int = DEFAULT_BUDGET
    tallies: dict[str, Tally] = field(default_factory=dict)
