"""STUDY.yaml to one validated value: tasks, axes, and the protocol that all cells share.

Knows no store: what one cannot answer is said as it is opened.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from base.errors import RalmError
from base.invalid import sentence
from base.names import did_you_mean
from datastore.conditions import Condition
from datastore.view import View
from lm.backends.quantizations import quantization
from lm.conditioning import DEFAULT_BUDGET, DEFAULT_PASSAGES, Conditioning
from lm.conditioning.shots import SHOTS, Shot
from pipelines.config import read_mapping
from pipelines.evaluate.study.follow import FILTERS, parts_of
from pipelines.questions import read_questions
from retriever.request import Method

Executing = Literal["auto", "ray", "local"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _listed(value: Any) -> Any:
    """An axis of one value may be written as that value."""
    return value if isinstance(value, list | tuple) else (value,)


def _groups(value: Any) -> Any:
    """Values that are lists themselves; `all` is the empty one, a text a list of one."""
    return tuple(() if one in (None, "all") else _listed(one) for one in _listed(value))


def _named(value: Any) -> Any:
    """Settings that are only named."""
    return tuple({"name": one} if isinstance(one, str) else one for one in _listed(value))


def _files(value: Any) -> Any:
    """Tasks that are only named are files of questions."""
    return tuple({"questions": one} if isinstance(one, str) else one for one in _listed(value))


Several = BeforeValidator(_listed)
Groups = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_groups), Field(min_length=1)]


class TaskSettings(_Frozen):
    """What is asked: a file of `questions`, the first `limit` of them.

    A task without a name is called as its file, which its results are found by.
    """

    name: str = ""
    questions: str
    limit: int | None = Field(None, ge=1)

    @property
    def file(self) -> Path:
        """Where it lies."""
        return Path(self.questions)

    @property
    def called(self) -> str:
        """Its name in tables and reports."""
        return self.name or self.file.name.split(".")[0]


class ReaderSettings(_Frozen):
    """A reader; `label` is what tables call it, `training_tokens` what it learnt from, if somebody knows."""

    name: str
    label: str = ""
    adapter: str | None = None
    device: str = "auto"
    allow_pickle: bool = False
    training_tokens: int | None = Field(None, ge=1)

    @property
    def called(self) -> str:
        """Its name in tables and reports: of a folder its last part."""
        return self.label or (Path(self.name).name if Path(self.name).exists() else self.name)


class Study(_Frozen):
    """What is measured: every task in every cell that the axes make.

    Axes of what is found: `fractions` and `seeds` (samples of each below 1), `domains` and `where` (a value
    is `all`, a name or condition, or a list of them), `methods`, `filters` and `rerankers`; `depths` are the
    k of all retrieval metrics (none: each has its own). Axes of what reads: `readers`, `quantizations` (None:
    int8, or as stored), `conditionings`, and `k` passages. The first `reader_questions` of a task that have
    answers are read. The rest is the protocol; `report` goes into study.yaml as it stands.
    """

    store: str
    output: str = "study"
    title: str = ""
    command: str = ""
    report: dict[str, Any] = {}
    tasks: Annotated[tuple[TaskSettings, ...], BeforeValidator(_files)] = Field(min_length=1)
    fractions: Annotated[tuple[float, ...], Several] = Field((0.01, 0.1, 1.0), min_length=1)
    seeds: int = Field(3, ge=1)
    domains: Groups = ((),)
    where: Groups = ((),)
    methods: Annotated[tuple[str, ...], Several] = Field(("dense",), min_length=1)
    filters: Annotated[tuple[str, ...], Several] = Field(("none",), min_length=1)
    rerankers: Annotated[tuple[str, ...], Several] = Field(("none",), min_length=1)
    pool: int = Field(50, ge=1)
    depths: Annotated[tuple[int, ...], Several] = ()
    metrics: Annotated[tuple[str, ...], Several] = ()
    readers: Annotated[tuple[ReaderSettings, ...], BeforeValidator(_named)] = ()
    quantizations: Annotated[tuple[str | None, ...], Several] = Field((None,), min_length=1)
    conditionings: Annotated[tuple[str, ...], Several] = Field(("prepend",), min_length=1)
    k: Annotated[tuple[int, ...], Several] = Field((DEFAULT_PASSAGES,), min_length=1)
    reader_questions: int = Field(100, ge=1)
    answer_tokens: int = Field(32, ge=1)
    budget: int = DEFAULT_BUDGET
    neighbours: int = 0
    replug_temperature: float = Conditioning().replug_temperature
    prompt: str = "chat"
    shots: str | None = None
    encoder: str | None = None
    query_encoder: str | None = None
    manifest: str | None = None
    executor: Executing = "local"
    workers: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _valid(self) -> Self:
        checks: tuple[tuple[str, Callable[[], object]], ...] = (
            ("fractions", lambda: [View(one) for one in self.fractions]),
            ("where", lambda: [self.views_of((), one) for one in self.where]),
            ("methods", lambda: [Method(one) for one in self.methods]),  # type: ignore[arg-type]
            ("filters", lambda: [parts_of(one) for one in self.filters]),
            ("quantizations", lambda: [quantization(one) for one in self.quantizations if one]),
            (
                "conditionings",
                lambda: [self.conditioning(one, k) for one in self.conditionings for k in self.k],
            ),
        )
        for name, check in checks:
            try:
                check()
            except RalmError as error:
                raise ValueError(f"{name}: {error}") from None
        if self.depths and min(self.depths) < 1:
            raise ValueError(f"depths: a metric looks at 1 passage at least, not at {min(self.depths)}")
        if len({one.called for one in self.tasks}) < len(self.tasks):
            raise ValueError("tasks: two have one name: give each a `name` of its own")
        return self

    def written(self) -> dict[str, Any]:
        """What differs from the defaults, as people may read it: of paths the last part."""
        left_out = {"executor", "workers", "output", "title", "command", "report"}
        found = self.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
        return {name: _last_parts(value) for name, value in found.items()}

    def views_of(self, domains: tuple[str, ...], where: tuple[str, ...]) -> tuple[View, ...]:
        """Views of some domains that meet conditions: one of all passages, and one a seed of each share."""
        clauses = tuple(Condition.parse(one) for one in where)
        return tuple(
            View(fraction, seed, domains, clauses)
            for fraction in sorted(set(self.fractions))
            for seed in range(self.seeds if fraction < 1 else 1)
        )

    def conditioning(self, kind: str, k: int) -> Conditioning:
        """How k passages are put to a reader."""
        return Conditioning(
            kind,  # type: ignore[arg-type]
            k,
            self.budget,
            self.neighbours,
            self.replug_temperature,
            self.prompt,  # type: ignore[arg-type]
            _shots(self.shots),
        )


def _last_parts(value: Any) -> Any:
    """Settings with the last part of each path: where files lay on a machine is nobody's concern."""
    if isinstance(value, dict):
        return {name: _last_parts(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_last_parts(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).exists() else value


def _shots(path: str | None) -> tuple[Shot, ...]:
    """The examples of a question file, each with its first answer; ralm's own without a file."""
    if path is None:
        return SHOTS
    questions = read_questions(Path(path)).questions
    if lacking := [one.id for one in questions if not one.answers]:
        raise RalmError(f"Question {lacking[0]} of {path} has no `answers`: an example needs one.")
    return tuple(Shot(one.text, one.answers[0]) for one in questions)


def study_of(content: Mapping[str, Any], source: str = "") -> Study:
    """Validate settings. Raises RalmError naming the one that is wrong, behind the source's name."""
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise RalmError(f"{source}{sentence(Study, error.errors(), 'the study')}") from None


def load_study(path: Path, **overrides: Any) -> Study:
    """Read a study from YAML; overrides that are not None win. Paths in the file begin at the file.

    Raises RalmError naming the setting that is wrong.
    """
    content = read_mapping(path, "study", "tasks: [questions.jsonl]")
    found = _relative(path.parent, content)
    found |= {name: value for name, value in overrides.items() if value is not None}
    return study_of(found, f"{path}: ")


def _relative(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Let paths begin at a folder: those of tasks and examples; a store and an output begin where we are."""

    def beside(value: Any) -> Any:
        return str(folder / value) if isinstance(value, str) else value

    found = dict(content)
    if "tasks" in found:
        tasks = _files(found["tasks"])
        found["tasks"] = [
            {name: beside(value) if name == "questions" else value for name, value in one.items()}
            if isinstance(one, dict)
            else one
            for one in tasks
        ]
    if "shots" in found:
        found["shots"] = beside(found["shots"])
    return found


def known(name: str, valid: tuple[str, ...], what: str) -> str:
    """A name that there is. Raises RalmError that lists the valid ones."""
    if name not in valid:
        raise RalmError(f"Unknown {what} {name!r}: valid are {', '.join(valid)}{did_you_mean(name, valid)}")
    return name


__all__ = ["FILTERS", "ReaderSettings", "Study", "TaskSettings", "known", "load_study", "study_of"]
