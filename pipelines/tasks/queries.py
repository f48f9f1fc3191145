"""What is looked for in the store, by an instance of a task: its bare question.

Never its few-shot examples, and not its choices: those would find passages on wrong answers, too.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

from base.errors import RalmError
from base.names import did_you_mean

# Where tasks keep a question that stands by itself, in the order of trust.
FIELDS = (
    *("question", "Question", "question_stem", "qtext", "problem", "Problem", "goal", "ctx", "startphrase"),
    *("query", "premise", "instruction", "Pregunta"),
)
# Of tasks whose fields hold more than the question, by patterns of their names: a field or a template.
KNOWN: Mapping[str, str] = {
    "agieval*": "{{query.split('Answer Choices:')[0]}}",
    "bbh*": "{{input.split('Options:')[0]}}",
    "logiqa*": "{{context}} {{question}}",
    "pubmedqa*": "{{QUESTION}}",
    "siqa*": "{{context}} {{question}}",
    "social_iqa*": "{{context}} {{question}}",
    "winogrande*": "{{sentence.replace('_', ' ')}}",
}


class Queries:
    """What to look for, by task and instance. `tasks` are lm-eval's, by name."""

    def __init__(self, tasks: Mapping[str, Any], given: Mapping[str, str] | None = None) -> None:
        """`given` names a field, or a template, by patterns of tasks' names."""
        self._tasks, self._given = tasks, given or {}

    def of(self, request: Any) -> str | None:
        """The question of a request; None where there is nothing that could be looked for.

        Raises RalmError for a field that the task has not.
        """
        return self.of_doc(request.task_name, request.doc)

    def of_doc(self, task_name: str, doc: Mapping[str, Any]) -> str | None:
        """The question of a task's instance, as of a request."""
        task = self._tasks[task_name]
        for named in (self._given, KNOWN):
            field = next((one for name, one in named.items() if fnmatch(task_name, name)), None)
            if field is not None:
                return _text(_field(field, doc, task_name))
        found = next((doc[one] for one in FIELDS if isinstance(doc.get(one), str)), None)
        # The instance's own text, without examples and target: of LAMBADA, the text before its last word.
        return _text(task.doc_to_text(doc) if found is None else found)


def _field(field: str, doc: Mapping[str, Any], task: str) -> Any:
    if "{{" in field:
        from lm_eval.utils import apply_template

        return apply_template(field, doc)
    if field not in doc:
        near = did_you_mean(field, list(doc))
        raise RalmError(f"The task {task} has no field {field!r}: valid are {', '.join(doc)}{near}")
    return doc[field]


def _text(found: Any) -> str | None:
    """A text that holds something; of several inputs, which are told by their number, none."""
    return " ".join(found.split()) or None if isinstance(found, str) else None


def parse(given: Sequence[str]) -> dict[str, str]:
    """TASK=FIELD, as the command line gives it, several times. Raises RalmError for what is none."""
    found = {}
    for one in given:
        task, sign, field = one.partition("=")
        if not (task and sign and field):
            raise RalmError(f"{one!r} names no task's question: write TASK=FIELD, as winogrande=sentence.")
        found[task] = field
    return found
