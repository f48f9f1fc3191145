"""Questions from JSON Lines, with the answers or the gold documents they are scored by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from base.errors import RalmError
from base.foreign import Refused, ask
from pipelines.readers.bytes.lines import bounded_line, open_stream
from pipelines.readers.records import BOM

_LONGEST = 1 << 24
# Of lines that are no questions, so many are named.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A question; either `answers` (any of them counts) or `gold_docs` (document ids) may be empty.

    One of several `choices` is `chosen`, by its number from 0.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    gold_docs: frozenset[str]
    choices: tuple[str, ...] = ()
    chosen: int | None = None


@dataclass(frozen=True, slots=True)
class NoQuestion:
    """A line that is no question, by its number in the file, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """The questions of a file; how many of its lines are left out as none, and the first of these."""

    path: Path
    questions: tuple[Question, ...]
    left_out: int
    first: tuple[NoQuestion, ...]

    @property
    def warning(self) -> str | None:
        """Says which lines are left out; None if none is."""
        if not self.left_out:
            return None
        are = "line is no question and is" if self.left_out == 1 else "lines are no questions and are"
        each = "; ".join(f"line {one.line}: {one.reason}" for one in self.first)
        more = "; ..." if self.left_out > len(self.first) else ""
        return f"{self.left_out:,} {are} left out of {self.path.name} ({each}{more})."


def read_questions(path: Path, limit: int | None = None, scored: bool = True) -> QuestionFile:
    """Read questions from JSON Lines (plain, .gz, .zst): `question`, `answers` and/or `gold_docs`.

    Unless they are to be `scored`, neither answers nor documents are needed. A line that is no such question
    is left out. Raises RalmError for a file without any, naming its first line, or for a `limit` below 1.
    """
    if not path.is_file():
        raise RalmError(f"There is no question file {path}.")
    if limit is not None and limit < 1:
        raise RalmError(f"The limit of questions must be at least 1, not {limit}.")
    found: list[Question] = []
    first: list[NoQuestion] = []
    left_out = 0
    for number, line in _lines(path):
        if limit is not None and len(found) == limit:
            break
        one = _question(number, line, scored)
        if isinstance(one, Question):
            found.append(one)
            continue
        left_out += 1
        if len(first) < _NAMED:
            first.append(one)
    if not found:
        raise _without(path, left_out, first)
    return QuestionFile(path, tuple(found), left_out, tuple(first))


def _without(path: Path, lines: int, first: Sequence[NoQuestion]) -> RalmError:
    """Says that a file of so many lines holds no question."""
    if not first:
        return RalmError(f"{path} holds no question.")
    none = f" None of its {lines:,} lines can be used." if lines > 1 else ""
    return RalmError(f"{path}, line {first[0].line}: {first[0].reason}.{none}")


def _lines(path: Path) -> Iterator[tuple[int, bytes | None]]:
    number = 0
    try:
        with open_stream(str(path)) as stream:
            while True:
                line, length = bounded_line(stream, _LONGEST)
                number += 1
                if not length:
                    return
                if line is not None and number == 1:
                    line = line.removeprefix(BOM)
                if line is None or line.strip():
                    yield number, line
    except OSError as error:
        raise RalmError(f"{path} cannot be read after line {number} ({error}).") from None


def _question(number: int, line: bytes | None, scored: bool) -> Question | NoQuestion:
    if line is None:
        return NoQuestion(number, f"longer than {_LONGEST:,} bytes")
    try:
        fields = ask(orjson.loads, line)
        text, answers = fields["question"], fields.get("answers") or []
        gold = fields.get("gold_docs") or []
    except (Refused, KeyError, TypeError, AttributeError):
        return NoQuestion(number, 'not a JSON object with a "question"')
    if not isinstance(text, str) or not _texts(answers) or not _texts(gold):
        return NoQuestion(number, "`question` must be text, `answers` and `gold_docs` lists of text")
    if scored and not text.strip():
        return NoQuestion(number, "`question` is empty: a question needs at least one word")
    if scored and not answers and not gold:
        return NoQuestion(number, "a question needs `answers` or `gold_docs` to be scored by")
    choices, chosen = _choices(fields)
    return Question(str(fields.get("id", number)), text, tuple(answers), frozenset(gold), choices, chosen)


def _choices(fields: dict[str, object]) -> tuple[tuple[str, ...], int | None]:
    """The choices of a question and the right one's number; none if it has not both."""
    choices, chosen = fields.get("choices"), fields.get("answer_index")
    if not isinstance(choices, list) or not _texts(choices) or type(chosen) is not int:
        return (), None
    return (tuple(choices), chosen) if 0 <= chosen < len(choices) else ((), None)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
