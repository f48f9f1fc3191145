"""What readers of a study are asked: every put of every question, as demands of which each is made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from datastore.view import View
from lm.conditioning import Request, condition
from lm.reader import Reader
from pipelines.evaluate.metrics import contains
from pipelines.evaluate.study.arms import Arm, Put
from pipelines.evaluate.study.reading.exchange import Demand
from pipelines.evaluate.study.settings import Study
from pipelines.evaluate.study.tasks import Task
from pipelines.questions import Question
from retriever.results import Hit
from retriever.retriever import Retriever
from serve.answering.answerer import sources_of


@dataclass(frozen=True, slots=True)
class Asking:
    """A question in one put: what is demanded, whether the passages in it hold an answer.

    `trimmed` of the passages had no room: they are cut or left out.
    """

    question: Question
    demand: Demand
    held: bool
    trimmed: int


@dataclass(frozen=True)
class Asked:
    """The questions of a task in one put."""

    task: Task
    put: Put
    askings: tuple[Asking, ...]


@dataclass(frozen=True)
class Readable:
    """The questions of a task that are read, and what each arm found for each of them."""

    task: Task
    questions: tuple[Question, ...]
    found: Mapping[Arm, Sequence[tuple[Hit, ...]]]


@dataclass
class Prompts:
    """Writes prompts with a reader's tokenizer. `scored`: accepted answers are to be scored behind them."""

    study: Study
    retriever: Retriever
    reader: Reader
    scored: bool
    # Equal demands are one object, however many puts make them.
    _known: dict[Demand, Demand] = field(default_factory=dict)
    # Readers of one tokenizer are asked the same.
    _written: dict[tuple[str, Put], Asked] = field(default_factory=dict)
    # Tokens of the longest accepted answer to a question, whatever is put beside it.
    _longest: dict[tuple[str, ...], int] = field(default_factory=dict)

    def of(self, some: Readable, put: Put) -> Asked:
        """The questions of a task in one put."""
        if (some.task.name, put) not in self._written:
            self._written[some.task.name, put] = self._of(some, put)
        return self._written[some.task.name, put]

    def _of(self, some: Readable, put: Put) -> Asked:
        found = some.found[put.arm] if put.arm else [()] * len(some.questions)
        each = zip(some.questions, found, strict=True)
        return Asked(some.task, put, tuple(self._asking(put, one, hits) for one, hits in each))

    def _asking(self, put: Put, question: Question, hits: tuple[Hit, ...]) -> Asking:
        how = self.study.conditioning(put.conditioning, put.k)
        view = put.arm.view if put.arm else View()
        sources = sources_of(hits[: put.k], self.retriever, how, view)
        request = Request(question.text, answer_tokens=self._room(question))
        written = condition(how, request, sources, self.reader)
        demand = Demand(written.asked, question.answers if self.scored else ())
        # Without its number, which would pass for the answer to some questions.
        held = any(contains(one.partition("] ")[2], question.answers) for one in written.packed)
        return Asking(question, self._known.setdefault(demand, demand), held, written.trimmed)

    def _room(self, question: Question) -> int:
        """Tokens that are kept free: for an answer, and for the longest accepted one that is scored."""
        if not self.scored or not question.answers:
            return self.study.answer_tokens
        if question.answers not in self._longest:
            self._longest[question.answers] = max(map(self.reader.count_tokens, question.answers))
        return max(self.study.answer_tokens, self._longest[question.answers] + 1)
