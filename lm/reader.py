"""What a reader is asked and what it gives: one interface for all language models.

Knows no model: whoever shows or serves answers need not import torch.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from base.errors import Unavailable
from lm.conditioning import Message


class ReaderStopped(Unavailable):
    """A reader that has been told to stop, in the middle of an answer or before it."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to continue a prompt: greedily unless a temperature is given; `stop` ends the text."""

    max_tokens: int = 96
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A continuation. `finished` is false where it was cut off at `max_tokens`."""

    text: str
    prompt_tokens: int
    tokens: int
    finished: bool


class TextStream:
    """Pieces of a text as they come; once they have, `finished` is false if it was cut off.

    Whoever stops reading early calls `close`: the model then stops too.
    """

    def __init__(self, pieces: Iterator[str], close: Callable[[], None]) -> None:
        self.pieces = pieces
        self.finished = True
        self.close = close

    def __iter__(self) -> Iterator[str]:
        return self.pieces


class Reader(Protocol):
    """A language model behind one interface. `bytes` is the memory its weights take, measured."""

    @property
    def name(self) -> str: ...
    @property
    def quantization(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def context_tokens(self) -> int: ...

    def count_tokens(self, text: str) -> int: ...
    def prompt(self, conversation: Sequence[Message]) -> str: ...
    def complete(self, prompts: Sequence[str], sampling: Sampling) -> list[Completion]: ...
    def stream(self, prompt: str, sampling: Sampling) -> TextStream: ...
    def stop(self) -> None: ...
