"""Tasks of lm-eval by the names that people know, and open ones as questions with their answers."""

from collections.abc import Mapping
from typing import Any

from base.errors import RalmError
from pipelines.questions import Question
from pipelines.tasks import harness
from pipelines.tasks.queries import Queries
from pipelines.tasks.study import TaskStudy

# What lm-eval calls them.
CALLED: Mapping[str, str] = {"nq": "nq_open", "medqa": "medqa_4options"}
# Output types of lm-eval.
_OPEN, _CHOICES = "generate_until", "multiple_choice"


def named(name: str) -> str:
    """A task's name as lm-eval has it: NQ is nq_open there."""
    return CALLED.get(name.lower(), name.lower() if name.lower() in ("triviaqa", "popqa", "mmlu") else name)


def open_questions(name: str, limit: int | None = None) -> tuple[Question, ...] | None:
    """The questions of an open task; None if it is multiple choice.

    Raises RalmError for a name that is none, for data that cannot be had, and for a task of another kind.
    """
    harness.require()
    tasks = harness.load(TaskStudy((name,))).tasks
    kinds = {task.OUTPUT_TYPE for task in tasks.values()}
    if kinds == {_CHOICES}:
        return None
    if kinds != {_OPEN}:
        raise RalmError(
            f"The task {name} asks neither openly nor by choices ({', '.join(sorted(kinds))}): ask it by "
            "`ralm eval tasks`."
        )
    queries = Queries(tasks)
    found: list[Question] = []
    for task_name, task in tasks.items():
        for number, doc in enumerate(task.eval_docs):
            if limit is not None and len(found) == limit:
                return tuple(found)
            text, answers = queries.of_doc(task_name, doc), _answers(task.doc_to_target(doc))
            if text and answers:
                found.append(Question(f"{task_name}/{number}", text, answers, frozenset()))
    if not found:
        raise RalmError(f"The task {name} has no question with an answer: ask it by `ralm eval tasks`.")
    return tuple(found)


def _answers(target: Any) -> tuple[str, ...]:
    """The answers that a task accepts."""
    some = target if isinstance(target, list) else [target]
    return tuple(dict.fromkeys(one.strip() for one in some if isinstance(one, str) and one.strip()))
