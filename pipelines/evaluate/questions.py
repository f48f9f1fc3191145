"""Questions from JSON Lines, with the answers or the gold documents they are scored by."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from datastore.errors import RalmError
from pipelines.readers.foreign import Refused, ask
from pipelines.readers.lines import bounded_line, open_stream
from pipelines.readers.records import BOM

_LONGEST = 1 << 24


@dataclass(frozen=True, slots=True)
class Question:
    """A question; either `answers` (any of them counts) or `gold_docs` (document ids) may be empty."""

    id: str
    text: str
    answers: tuple[str, ...]
    gold_docs: frozenset[str]


def load_questions(path: Path, limit: int | None = None, scored: bool = True) -> list[Question]:
    """Read questions from JSON Lines (plain, .gz, .zst): `question`, `answers` and/or `gold_docs`.

    Unless they are to be `scored`, neither answers nor documents are needed. Raises RalmError naming the line
    that is wrong, or a `limit` below 1.
    """
    if not path.is_file():
        raise RalmError(f"There is no question file {path}.")
    if limit is not None and limit < 1:
        raise RalmError(f"The limit of questions must be at least 1, not {limit}.")
    found: list[Question] = []
    for number, line in _lines(path):
        if limit is not None and len(found) == limit:
            break
        found.append(_question(path, number, line, scored))
    if not found:
        raise RalmError(f"{path} holds no question.")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
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
                    yield number, line or b""
    except OSError as error:
        raise RalmError(f"{path} cannot be read after line {number} ({error}).") from None


def _question(path: Path, number: int, line: bytes, scored: bool) -> Question:
    try:
        fields = ask(orjson.loads, line)
        text, answers = fields["question"], fields.get("answers") or []
        gold = fields.get("gold_docs") or []
    except (Refused, KeyError, TypeError, AttributeError):
        raise RalmError(f'{path}, line {number}: not a JSON object with a "question".') from None
    if not isinstance(text, str) or not _texts(answers) or not _texts(gold):
        raise RalmError(
            f"{path}, line {number}: `question` must be text, `answers` and `gold_docs` lists of text."
        )
    if scored and not text.strip():
        raise RalmError(f"{path}, line {number}: `question` is empty: a question needs at least one word.")
    if scored and not answers and not gold:
        raise RalmError(f"{path}, line {number}: a question needs `answers` or `gold_docs` to be scored by.")
    return Question(str(fields.get("id", number)), text, tuple(answers), frozenset(gold))


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
