"""Prompts and answers as lines of JSON, so that they may be made on one machine and answered on another.

Knows no store and no question.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import xxhash

from base.errors import RalmError
from datastore.files.writing import atomic_write
from lm.prompts import Asked, Ensemble, Message, Prompt


@dataclass(frozen=True, slots=True)
class Demand:
    """What a reader is asked, and the accepted answers that are scored behind it (none: nothing is)."""

    asked: Asked
    answers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A hash of both: names what is answered once."""
        return xxhash.xxh3_128_hexdigest(orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS))

    @property
    def size(self) -> int:
        """How long its longest prompt is, in characters."""
        prompts = self.asked.prompts if isinstance(self.asked, Ensemble) else (self.asked,)
        return max(len(one.text) + sum(len(turn.content) for turn in one.conversation) for one in prompts)

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        if isinstance(self.asked, Ensemble):
            asked = {"prompts": [*map(_written, self.asked.prompts)], "weights": self.asked.weights}
        else:
            asked = _written(self.asked)
        return {"asked": asked, "answers": self.answers}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Demand":
        """What was written so. Raises RalmError for what was not."""
        try:
            asked = content["asked"]
            found: Asked
            if "weights" in asked:
                found = Ensemble(tuple(map(_read, asked["prompts"])), tuple(asked["weights"]))
            else:
                found = _read(asked)
            return cls(found, tuple(content["answers"]))
        except (KeyError, TypeError) as error:
            raise RalmError(
                f"A line is no demand of a reader ({error}): have its file written anew."
            ) from None


def _written(prompt: Prompt) -> dict[str, Any]:
    turns = [{"role": one.role, "content": one.content} for one in prompt.conversation]
    return {"conversation": turns, "text": prompt.text, "passages": prompt.passages}


def _read(content: Mapping[str, Any]) -> Prompt:
    turns = tuple(Message(one["role"], one["content"]) for one in content["conversation"])
    return Prompt(turns, content["text"], content["passages"])


@dataclass(frozen=True, slots=True)
class Answered:
    """What a reader made of a demand.

    Its text, tokens of prompt and text, and of the likeliest accepted answer the `bits` that it takes; None
    if none was scored. `joules` are this demand's share of what its batches drew.
    """

    key: str
    text: str
    prompt_tokens: int
    tokens: int
    bits: float | None = None
    joules: float | None = None


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write lines of JSON, whole or not at all; .gz files compressed."""
    data = b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in lines)
    packed = gzip.compress(data, mtime=0) if path.suffix == ".gz" else data
    atomic_write(path, lambda handle: handle.write(packed))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file. Raises RalmError for a file that is damaged."""
    try:
        data = path.read_bytes()
        for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines():
            yield orjson.loads(line)
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        raise _damaged(path, str(error)) from None


def read_answers(path: Path) -> list[Answered]:
    """The answers of a file, a line each. Raises RalmError for a file that is damaged."""
    return _answers(path, read_lines(path))


def read_kept(path: Path) -> tuple[dict[str, Any], list[Answered]]:
    """The first line of a file, about its reader, and the answers behind it.

    Raises RalmError for a file that is damaged.
    """
    lines = read_lines(path)
    card = next(lines, None)
    if not isinstance(card, dict):
        raise _damaged(path, "it says nothing of a reader")
    return card, _answers(path, lines)


def _answers(path: Path, lines: Iterable[Mapping[str, Any]]) -> list[Answered]:
    try:
        return [Answered(**one) for one in lines]
    except TypeError as error:
        raise _damaged(path, f"a line is no answer: {error}") from None


def _damaged(path: Path, reason: str) -> RalmError:
    return RalmError(f"{path} cannot be read ({reason}): remove it, and what it held is made anew.")


def lines_of(answers: Iterable[Answered]) -> Iterator[dict[str, Any]]:
    """Answers as lines."""
    return map(asdict, answers)
