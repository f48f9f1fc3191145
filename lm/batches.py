"""Which requests are read together: the oldest, and those whose prompts are nearest to it in length.

Knows lengths and kinds; knows no model.

Decisions: docs/decisions/batching.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from lm.pending import Pending


class Job(Protocol):
    """A request that a reader has prepared to read."""

    pending: Pending

    @property
    def kind(self) -> bool:
        """Only requests of one kind are read together."""
        ...

    @property
    def width(self) -> int:
        """The rows that it takes in a batch."""
        ...

    @property
    def prompt_tokens(self) -> int:
        """Tokens of its longest row at first."""
        ...

    @property
    def longest(self) -> int:
        """The most tokens that a row of it can come to."""
        ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, slots=True)
class Room:
    """What fits into one batch: rows, and the tokens that all of them can come to, padding included."""

    rows: int
    tokens: int

    def holds(self, jobs: Iterable[Job]) -> bool:
        """Whether these requests can be read together."""
        rows, longest = 0, 0
        for job in jobs:
            rows, longest = rows + job.width, max(longest, job.longest)
        return rows <= self.rows and rows * longest <= self.tokens


def oldest_first(waiting: Sequence[J], room: Room) -> list[J]:
    """The batch to read next of requests in the order that they came in: it holds the oldest of them.

    That one is read even if it alone is more than the room holds.
    """
    batch = list(waiting[:1])
    like = [one for one in waiting[1:] if one.kind == batch[0].kind]
    for one in sorted(like, key=lambda one: abs(one.prompt_tokens - batch[0].prompt_tokens)):
        if not room.holds([*batch, one]):
            break
        batch.append(one)
    return batch


def joining(waiting: Sequence[J], reading: Sequence[J], room: Room) -> list[J]:
    """Those of the waiting that can join the ones being read. Nobody overtakes one who came before."""
    found: list[J] = []
    for one in waiting:
        if (reading and one.kind != reading[0].kind) or not room.holds([*reading, *found, one]):
            break
        found.append(one)
    return found


def by_length(jobs: Sequence[J], room: Room) -> Iterator[list[J]]:
    """All requests in batches of one kind and of like length, the longest first: what fails, fails soon."""
    left = sorted(jobs, key=lambda one: one.prompt_tokens, reverse=True)
    while left:
        batch = oldest_first(left, room)
        yield batch
        taken = {id(one) for one in batch}
        left = [one for one in left if id(one) not in taken]
