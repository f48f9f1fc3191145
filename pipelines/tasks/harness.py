"""lm-eval, called and never copied: names to its tasks, an LM and tasks to its results.

Decisions: docs/decisions/measuring.md.
"""

import importlib.util
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import RalmError
from base.names import did_you_mean, nearest
from pipelines.tasks.question_files import without_questions
from pipelines.tasks.study import TaskStudy

DEFINITIONS = Path(__file__).parent / "definitions"
# Those that ask the questions of a file.
OURS = tuple(sorted(path.stem for path in DEFINITIONS.glob("ralm_*.yaml")))


def require() -> None:
    """Raise RalmError unless lm-eval is installed: before anything that takes seconds is loaded."""
    if importlib.util.find_spec("lm_eval") is None:
        raise RalmError('Tasks are lm-eval\'s, which is not installed: run `pip install "ralm[eval]"`.')
    # Its bars would be drawn across ours, and its notes are for those who call it by itself.
    os.environ.setdefault("TQDM_DISABLE", "1")
    for name in ("lm_eval", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)


def require_questions(study: TaskStudy) -> None:
    """Raise RalmError if a study asks ralm's own tasks of no file, or of one that is not there."""
    if study.questions is None and any(name in OURS for name in study.tasks):
        raise without_questions()
    if study.questions is not None and not study.questions.is_file():
        raise RalmError(f"There is no question file {study.questions}.")


@dataclass(frozen=True)
class Loaded:
    """Tasks and groups as they were asked for, and each task by its name."""

    asked: tuple[Any, ...]
    tasks: Mapping[str, Any]
    manager: Any


def load(study: TaskStudy) -> Loaded:
    """The tasks of a study. Raises RalmError for a name that is none, or for data that cannot be had."""
    from lm_eval.tasks import TaskManager

    questions = {"questions": str(study.questions)} if study.questions else {}
    ours = TaskManager(include_defaults=False, include_path=[DEFINITIONS], metadata=questions)
    every = _lister(study, ours)
    tasks: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    within: set[str] = set()
    for name in _matched(study.tasks, every):
        found = _load(ours if name in OURS else every, name)
        tasks |= found["tasks"]
        groups |= found["groups"]
        within |= {child for children in found["group_map"].values() for child in children}
    single = [one for name, one in tasks.items() if name not in within]
    whole = [one for name, one in groups.items() if name not in within]
    return Loaded((*single, *whole), tasks, every)


def _lister(study: TaskStudy, ours: Any) -> Any:
    """What lists the tasks that are asked for; lm-eval's own, which take ten seconds, only if they are."""
    from lm_eval.tasks import TaskManager

    others = [name for name in study.tasks if name not in OURS]
    for name in others:
        if near := nearest(name, OURS):
            raise RalmError(f"There is no task {name!r}: did you mean {near}?")
    if not others:
        return ours
    include = [DEFINITIONS, *([study.include] if study.include else [])]
    given = TaskManager(include_defaults=False, include_path=include)
    if all(given.match_tasks([name]) for name in others):
        return given
    return TaskManager(include_path=include)


def _matched(names: Sequence[str], manager: Any) -> list[str]:
    """Names of tasks, groups and tags, patterns such as mmlu_* spelt out."""
    found: list[str] = []
    for name in names:
        some = manager.match_tasks([name]) or (
            [name] if name.endswith(".yaml") and Path(name).is_file() else []
        )
        if not some:
            near = did_you_mean(name, manager.all_tasks)
            raise RalmError(f"There is no task {name!r}: `lm-eval ls tasks` lists those of lm-eval{near}")
        found += some
    return list(dict.fromkeys(found))


def _load(manager: Any, name: str) -> Any:
    try:
        return manager.load([name])
    except RalmError:
        raise
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        mend = ": HF_HUB_OFFLINE=0 lets its data be fetched" if "offline" in reason.lower() else ""
        if isinstance(error, ConnectionError):
            mend = ": without a hub, ask a file of the same fields by --questions"
        raise RalmError(
            f"The task {name} cannot be loaded ({type(error).__name__}: {reason}){mend}."
        ) from None


def evaluate(model: Any, loaded: Loaded, study: TaskStudy) -> dict[str, Any]:
    """lm-eval's own results of an LM of its interface, samples included."""
    from lm_eval import evaluator, simple_evaluate

    # It asks git for the commit of the folder that a user stands in: no code of ours lies there, and git
    # complains on the terminal where there is no repository.
    evaluator.get_git_commit_hash = lambda: None
    found: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=list(loaded.asked),
        task_manager=loaded.manager,
        num_fewshot=study.fewshot,
        limit=study.limit,
        apply_chat_template=study.chat,
        system_instruction=study.system,
        fewshot_random_seed=study.seed,
    )
    return found
