"""Question files as tasks of lm-eval: what `definitions/` names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from base.errors import RalmError
from pipelines.evaluate.metrics import contains, exact_match, f1
from pipelines.questions import Question, read_questions


def with_answers(questions: str | None = None, **_: Any) -> Mapping[str, Any]:
    """The questions of a file that have answers, as lm-eval's data set of one split."""
    return _split(questions, "`answers`", lambda one: bool(one.answers))


def with_choices(questions: str | None = None, **_: Any) -> Mapping[str, Any]:
    """The questions of a file that have choices, as lm-eval's data set of one split."""
    return _split(questions, "`choices` and `answer_index`", lambda one: one.chosen is not None)


def with_possible_answers(docs: Any) -> Any:
    """PopQA's data set with its answers as a list: they come as JSON."""
    return docs.map(lambda doc: {"answers": orjson.loads(doc["possible_answers"])})


def without_questions() -> RalmError:
    """The error for tasks of ralm's own without the file that they ask."""
    return RalmError("The tasks ralm_qa and ralm_choices ask the questions of a file: name it, --questions.")


def _split(path: str | None, what: str, wanted: Callable[[Question], bool]) -> Mapping[str, Any]:
    """Raises RalmError if no file is given, or none of its questions is wanted."""
    from datasets import Dataset

    if path is None:
        raise without_questions()
    found = [one for one in read_questions(Path(path), scored=False).questions if wanted(one)]
    if not found:
        raise RalmError(f"No question of {path} has {what}.")
    return {"test": Dataset.from_list([_record(one) for one in found])}


def _record(one: Question) -> dict[str, Any]:
    return {
        "id": one.id,
        "question": one.text,
        "answers": list(one.answers),
        "gold_docs": sorted(one.gold_docs),
        "choices": list(one.choices),
        "answer_index": one.chosen,
    }


def scores(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """How good the text is that a reader gave to a question."""
    (answer,) = results
    return {
        "exact_match": float(exact_match(answer, doc["answers"])),
        "containment": float(contains(answer, doc["answers"])),
        "f1": f1(answer, doc["answers"]),
    }
