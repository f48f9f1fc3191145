"""A long text in strides, each scored behind as many tokens with passages as without.

In-Context RALM (Ram et al. 2023): before each stride passages are found by the text before it, and take the
place of the oldest of that text. Knows tokens; knows no store and no model.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from base.errors import RalmError
from lm.reader import Row


@dataclass(frozen=True, slots=True)
class Pace:
    """Tokens that are read at once (`window`), scored at once (`stride`), and searched by (`query`).

    Passages take the place of a window's oldest text; or so many tokens before it, if some are `added`.
    """

    window: int
    stride: int
    query: int
    added: int = 0

    def __post_init__(self) -> None:
        if self.query < 1:
            raise RalmError(
                f"A query must have at least 1 token of the text before a stride, not {self.query}."
            )
        if self.front < 1:
            raise RalmError(
                f"A window of {self.window:,} tokens leaves no room for a passage before a stride of "
                f"{self.stride:,}: take a shorter stride or a longer window."
            )

    @property
    def front(self) -> int:
        """The most tokens of passages: those that are added, or half of what stands before a stride."""
        return self.added or (self.window - self.stride - 1) // 2


@dataclass(frozen=True, slots=True)
class Step:
    """The tokens of a text from `done` to `end`, which are scored together."""

    ids: tuple[int, ...]
    done: int
    end: int

    def query(self, pace: Pace) -> tuple[int, ...]:
        """What passages are found by: the last tokens of the text before it, none at first."""
        return self.ids[max(0, self.done - pace.query) : self.done]

    def row(self, pace: Pace, start: int, front: "Front") -> Row:
        """The step behind the `start` token, passages, and as much of the text before it as fits.

        Where passages are added, the `start` token is, too.
        """
        room = pace.window - (self.end - self.done) - (0 if pace.added else 1 + len(front.ids))
        context = (start, *front.ids, *self.ids[max(0, self.done - room) : self.done])
        return Row(context, self.ids[self.done : self.end], front.passages)


@dataclass(frozen=True, slots=True)
class Front:
    """Passages in front of a text: their tokens, and how many they are."""

    ids: tuple[int, ...] = ()
    passages: int = 0

    @classmethod
    def of(cls, blocks: Sequence[tuple[int, ...]], most: int) -> "Front":
        """The leading passages, best first, that fit into `most` tokens; the best stands next to the text.

        The best one is cut to `most` tokens, if it has more.
        """
        kept: list[tuple[int, ...]] = []
        left = most
        for block in blocks:
            if len(block) > left and kept:
                break
            kept.append(block[:left])
            left -= len(kept[-1])
        return cls(tuple(token for block in reversed(kept) for token in block), len(kept))


NOTHING = Front()


def steps(ids: Sequence[int], pace: Pace) -> Iterator[Step]:
    """A text in strides, each token in one of them; where passages are added, without the first stride."""
    for done in range(pace.stride if pace.added else 0, len(ids), pace.stride):
        yield Step(tuple(ids), done, min(done + pace.stride, len(ids)))
