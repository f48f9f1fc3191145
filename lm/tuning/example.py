"""What a reader is taught by: a question, the passages put before it, and what it is to answer.

Knows the prompt that readers are given, and no store.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from base.errors import RalmError
from base.foreign import Refused, ask
from lm.conditioning import DEFAULT_BUDGET, Source, conversation, pack
from lm.conditioning.shots import DO_NOT_KNOW
from lm.prompts import Prompt

# What a reader says of a question that its passages do not answer.
ABSTENTION = DO_NOT_KNOW


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its passages, best first, and the answer to learn. `kind` is for counting alone.

    `expected` are answers that the passages have nothing to do with: a reader that gives one of them by
    itself is to keep it, whatever it is shown.
    """

    question: str
    sources: tuple[Source, ...]
    answer: str
    kind: str = ""
    expected: tuple[str, ...] = ()

    def prompt(self, count: Callable[[str], int], budget: int = DEFAULT_BUDGET) -> Prompt:
        """The prompt that a server would give to the reader: `count` tells a text's tokens."""
        return conversation(self.question, pack(self.sources, count, budget))


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Examples as JSON Lines. Passages that many of them share are written once, in lines of their own."""
    # Whatever they were found with.
    numbers: dict[tuple[str, str], int] = {}
    with open(path, "wb") as file:
        for one in examples:
            for source in one.sources:
                if (source.title, source.text) not in numbers:
                    numbers[source.title, source.text] = len(numbers)
                    file.write(orjson.dumps({"title": source.title, "text": source.text}) + b"\n")
            line = {
                "question": one.question,
                "passages": [numbers[source.title, source.text] for source in one.sources],
                "answer": one.answer,
                "kind": one.kind,
                "expected": one.expected,
            }
            file.write(orjson.dumps(line) + b"\n")


def read_examples(path: Path) -> list[Example]:
    """What `write_examples` wrote. Raises RalmError naming the line that is no example."""
    sources: list[Source] = []
    found: list[Example] = []
    for number, line in _lines(path):
        try:
            fields = ask(orjson.loads, line)
            one = _read(fields, sources)
        except (Refused, KeyError, TypeError, IndexError, AttributeError):
            raise RalmError(
                f"{path}, line {number} is no example: write the file anew with `ralm tune --prepare`."
            ) from None
        if isinstance(one, Source):
            sources.append(one)
        else:
            found.append(one)
    if not found:
        raise RalmError(f"{path} holds no example.")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            yield from enumerate(file, 1)
    except OSError as error:
        raise RalmError(f"{path} cannot be read ({error}).") from None


def _read(fields: dict[str, Any], sources: Sequence[Source]) -> Source | Example:
    if "passages" not in fields:
        return Source(str(fields["title"]), str(fields["text"]))
    passages = tuple(sources[number] for number in fields["passages"])
    expected = tuple(map(str, fields["expected"]))
    return Example(str(fields["question"]), passages, str(fields["answer"]), str(fields["kind"]), expected)
