"""What conditioning is given: a question with what was said before, and passages as the LM is to see them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lm.prompts import Message

# Tokens of a text, by the reader's own tokenizer.
Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Request:
    """A question behind earlier turns, and how many tokens its answer may take at most.

    `following` are turns behind the question: what tools were asked about it, and said. `tools` are those
    that the reader may call. `bare`: no instruction is to be added to the turns. `plain`: the question is a
    text to be gone on with; `tokens` are the same as the reader's own, where it was given so.
    """

    question: str
    history: tuple[Message, ...] = ()
    answer_tokens: int = 0
    following: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    bare: bool = False
    plain: bool = False
    tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: its number there, and at which character its text begins."""

    number: int
    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A passage as the LM is to see it: a title (may be empty) and a text.

    `score` is what it was found with, which REPLUG weighs it by. `around`, where it may be widened, are the
    chunks of its document that it may be widened by, in a row and itself among them; `document` names that
    document and `chunk` is its own number there.
    """

    title: str
    text: str
    score: float = 0.0
    document: tuple[str, ...] = ()
    chunk: int = 0
    around: tuple[Chunk, ...] = ()
