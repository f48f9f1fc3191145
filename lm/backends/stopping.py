"""Where a text that is being generated ends: at a stop string, where nobody wants more, with the reader."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from lm.reader import ReaderStopped


class End:
    """A stopping criterion that holds for all that a reader generates, once it has come."""

    def __init__(self) -> None:
        self._come = False

    def come(self) -> None:
        self._come = True

    def check(self) -> None:
        """Raise ReaderStopped if it has come."""
        if self._come:
            raise ReaderStopped("The reader is being stopped: ask again when it runs.")

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((ids.shape[0],), self._come, dtype=torch.bool, device=ids.device)


class Watch:
    """A stopping criterion that another thread can trip, and that sees whether the text was cut off."""

    def __init__(self, longest: int, ends: set[int]) -> None:
        self.cut_off = False
        self._unwanted = False
        self._longest, self._ends = longest, ends

    def trip(self) -> None:
        """Let the model stop after the token it is at."""
        self._unwanted = True

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.cut_off = ids.shape[1] >= self._longest and int(ids[0, -1]) not in self._ends
        return torch.full((ids.shape[0],), self._unwanted, dtype=torch.bool, device=ids.device)


def until_stop(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """Pass pieces on up to where the first stop string begins; it may be spread over several pieces."""
    held, longest = "", max((len(s) for s in stop), default=1) - 1
    for piece in pieces:
        held += piece
        # What lies further back than this can be no part of a stop string still to come.
        ready = len(held) - longest
        begin = _first(held, stop)
        if begin is not None and begin <= ready:
            yield held[:begin]
            return
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    if held:
        yield held[: _first(held, stop)]


def _first(text: str, stop: Sequence[str]) -> int | None:
    return min((at for s in stop if (at := text.find(s)) >= 0), default=None)
