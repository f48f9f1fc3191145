"""Where a text that is being generated ends: where nobody wants more, or with the reader."""

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
