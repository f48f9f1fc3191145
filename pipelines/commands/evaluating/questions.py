"""`ralm eval questions`: what passages change of a reader's answers, split by what it knows alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import RalmError
from lm.backends.weights import DEFAULT_READER
from lm.conditioning import DEFAULT_PASSAGES
from pipelines.commands.options import (
    Also,
    AsJson,
    Conditions,
    Domains,
    Loading,
    MethodName,
    Prompting,
    QueryEncoding,
    ReaderName,
    Sample,
    Store,
)

if TYPE_CHECKING:
    from lm.reader import Reader
    from pipelines.questions import Question


def questions(  # noqa: PLR0913
    store: Store,
    questions: Annotated[
        Path | None, typer.Option(help="JSON Lines: question, and answers, or choices and answer_index")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="nq, triviaqa, popqa, mmlu, medqa, or another of lm-eval")
    ] = None,
    also: Also = None,
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    k: Annotated[int, typer.Option("-k", help="passages in front")] = DEFAULT_PASSAGES,
    prompting: Prompting = Prompting(),
    fewshot: Annotated[int, typer.Option("--num-fewshot", help="examples before a multiple choice")] = 0,
    openly: Annotated[bool, typer.Option("--openly", help="ask openly, though there are choices")] = False,
    method: MethodName = None,
    sample: Sample = Sample(),
    domain: Domains = None,
    where: Conditions = None,
    limit: Annotated[int | None, typer.Option(help="take only the first questions (of each task)")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="JSON Lines to write: each question's scores")
    ] = None,
    encoding: QueryEncoding = QueryEncoding(),
    as_json: AsJson = False,
) -> None:
    """Ask a reader alone and with passages: what is gained, kept and lost."""
    from retriever.request import Method, Search

    if (questions is None) == (task is None):
        raise RalmError("Name what is asked: a file, --questions F, or a task, --task NAME; not both.")
    if k < 1:
        raise RalmError(
            f"-k, the passages in front, must be at least 1, not {k}: the reader alone is asked anyway."
        )
    how, choice = prompting.of(k), loading.choice(reader)
    search = Search(k, sample.view(domain, where), method=Method(method or None))  # type: ignore[arg-type]
    asked = _open_of(questions, task, openly, limit)
    from lm.backends.registry import open_reader, require_memory
    from pipelines.commands.stores import open_stores
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers
    from pipelines.show.measured.answered import answered
    from pipelines.show.terminal import print_json

    require_memory(choice)
    retriever = open_stores([store, *(also or [])], encoding.opening(words_only=method == "bm25"))
    answers.loading(reader)
    opened: Reader = open_reader(choice)
    if asked is not None:
        from pipelines.evaluate.questions.open import Asking

        found = Asking(retriever, opened, search, how).run(asked, for_terminal())
    else:
        from pipelines.tasks.asked.choices import choose
        from pipelines.tasks.asked.openly import named
        from pipelines.tasks.study import TaskStudy

        study = TaskStudy(
            ("ralm_choices",) if task is None else (named(task),),
            search=search,
            questions=questions,
            budget=prompting.budget,
            fewshot=fewshot,
            limit=limit,
            against_alone=True,
        )
        found = choose(study, retriever, opened, for_terminal())
    if output is not None:
        _write(output, found.lines())
    if as_json:
        print_json(found.to_json())
    else:
        answered(found, questions.name if questions else str(task))


def _open_of(
    path: Path | None, task: str | None, openly: bool, limit: int | None
) -> "tuple[Question, ...] | None":
    """The questions that are asked openly; None if choices are asked.

    Raises RalmError for a file or a task that holds neither.
    """
    if path is None:
        from pipelines.tasks.asked.openly import named, open_questions

        assert task is not None  # One of both is there.
        return open_questions(named(task), limit)
    from pipelines.questions import read_questions
    from pipelines.tasks import harness

    every = read_questions(path, limit, scored=False).questions
    if not openly and any(one.chosen is not None for one in every):
        harness.require()
        return None
    found = tuple(one for one in every if one.answers)
    if not found:
        other = "" if openly else ", nor `choices` with `answer_index`"
        raise RalmError(f"No question of {path.name} has `answers`{other}: a reader is scored by these.")
    return found


def _write(path: Path, lines: list[dict[str, object]]) -> None:
    import orjson

    from datastore.files.writing import atomic_write

    data = b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in lines)
    atomic_write(path, lambda handle: handle.write(data))
