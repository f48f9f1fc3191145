"""`ralm eval tasks`: lm-eval's tasks, answered with passages of a store."""

from pathlib import Path
from typing import Annotated

import typer

from base.errors import RalmError
from lm.backends.registry import open_reader, require_memory
from lm.backends.weights import DEFAULT_READER
from lm.conditioning import DEFAULT_BUDGET, DEFAULT_PASSAGES
from pipelines.commands.options import (
    Also,
    Budget,
    Conditions,
    Domains,
    Loading,
    MethodName,
    QueryEncoding,
    ReaderName,
    Sample,
    Store,
)


def tasks(  # noqa: PLR0913
    store: Store,
    names: Annotated[str, typer.Option("--tasks", help="of lm-eval, or ralm_qa, ralm_choices: a,b,c")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder for the results")],
    also: Also = None,
    questions: Annotated[Path | None, typer.Option(help="JSON Lines that ralm_qa, ralm_choices ask")] = None,
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    k: Annotated[int, typer.Option("-k", help="passages in front; 0: the LM alone")] = DEFAULT_PASSAGES,
    budget: Budget = DEFAULT_BUDGET,
    against_alone: Annotated[bool, typer.Option("--against-alone", help="ask the LM alone, too")] = False,
    method: MethodName = None,
    sample: Sample = Sample(),
    domain: Domains = None,
    where: Conditions = None,
    query: Annotated[
        list[str] | None,
        typer.Option(metavar="TASK=FIELD", help="what is looked for: a field or {{template}} (repeatable)"),
    ] = None,
    fewshot: Annotated[int | None, typer.Option("--num-fewshot", help="examples before a question")] = None,
    limit: Annotated[int | None, typer.Option(help="take only the first instances of each task")] = None,
    chat: Annotated[bool, typer.Option("--apply-chat-template", help="ask as a conversation")] = False,
    system: Annotated[str | None, typer.Option("--system-instruction", help="its instruction")] = None,
    include: Annotated[Path | None, typer.Option(help="folder with tasks of your own, as YAML")] = None,
    cache: Annotated[Path | None, typer.Option(help="folder of answers to take again")] = None,
    encoding: QueryEncoding = QueryEncoding(),
) -> None:
    """Ask a reader tasks of lm-eval, with passages in front."""
    from pipelines.tasks import harness, queries
    from pipelines.tasks.study import TaskStudy
    from retriever.request import Method, Search

    harness.require()
    if k < 0:
        raise RalmError(f"-k, the passages in front, must not be negative: {k}.")
    view = sample.view(domain, where)
    search = Search(k, view, method=Method(method or None)) if k else None  # type: ignore[arg-type]
    study = TaskStudy(
        tasks=tuple(name for one in names.split(",") if (name := one.strip())),
        output=output,
        search=search,
        questions=questions,
        queries=queries.parse(query or []),
        budget=budget,
        fewshot=fewshot,
        limit=limit,
        chat=chat,
        system=system,
        against_alone=against_alone,
        cache=cache,
        include=include,
    )
    harness.require_questions(study)
    choice = loading.choice(reader)
    from pipelines.commands.stores import open_stores
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers
    from pipelines.show.measured import tasks as shown
    from pipelines.tasks.evaluation import run

    require_memory(choice)
    opening = encoding.opening(words_only=method == "bm25")
    retriever = open_stores([store, *(also or [])], opening) if search else None
    answers.loading(reader)
    shown.results(run(study, retriever, open_reader(choice), for_terminal()), output)
