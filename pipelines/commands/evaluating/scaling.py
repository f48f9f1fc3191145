"""`ralm eval scaling`: what a larger datastore buys."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.errors import RalmError
from lm.conditioning import DEFAULT_PASSAGES
from pipelines.commands.options import (
    Loading,
    MaybeStore,
    Prompting,
    QueryEncoding,
    Workers,
    as_executor,
    as_shots,
)

if TYPE_CHECKING:
    from pipelines.evaluate.study.settings import Study


# What a study that has a file may be given beside it.
_BESIDE = ("store", "config", "output", "executor", "workers", *(one.name for one in fields(QueryEncoding)))


def scaling(  # noqa: PLR0913
    context: typer.Context,
    store: MaybeStore = None,
    config: Annotated[
        Path | None, typer.Option(help="a YAML file with tasks and axes, and all that is set here")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSON Lines: question, answers and/or gold_docs")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="folder for tables, plots and report")
    ] = None,
    fractions: Annotated[str, typer.Option(help="shares of the store")] = "0.01,0.1,1",
    seeds: Annotated[int, typer.Option(min=1, help="samples at each fraction below 1")] = 3,
    reader: Annotated[str | None, typer.Option(help="also have an LM answer")] = None,
    loading: Loading = Loading(),
    reader_questions: Annotated[int, typer.Option(help="questions the LM answers at most")] = 100,
    passages: Annotated[int, typer.Option("-k", help="passages the LM sees")] = DEFAULT_PASSAGES,
    prompting: Prompting = Prompting(),
    limit: Annotated[int | None, typer.Option(help="take only the first questions")] = None,
    method: Annotated[
        str,
        typer.Option(help="dense, in which a share is searched as if it were the whole store; bm25; hybrid"),
    ] = "dense",
    encoding: QueryEncoding = QueryEncoding(),
    executor: Annotated[
        str | None, typer.Option(help="what has the LM answer: local (default), ray or auto")
    ] = None,
    workers: Workers = None,
) -> None:
    """Draw how retrieval and answers improve as the datastore grows; run it again to go on with it."""
    from pipelines.evaluate.study.settings import load_study, study_of

    if executor is not None:
        as_executor(executor)
    always = {
        **{"store": store and str(store), "output": output and str(output)},
        **{"executor": executor, "workers": workers, **_given(encoding)},
    }
    if config is not None:
        _require_beside(context)
        _run(load_study(config, **always))
        return
    if store is None or questions is None or output is None:
        raise RalmError("A study needs a STORE, --questions and --output, or a --config that names them.")
    try:
        shares = sorted({float(part) for part in fractions.split(",")})
    except ValueError:
        raise RalmError(f"--fractions {fractions!r} is not a list of numbers such as 0.01,0.1,1.") from None
    as_shots(prompting.shots)
    one = {"questions": str(questions)} | ({} if limit is None else {"limit": limit})
    settings = {
        **{"tasks": [one], "fractions": shares, "seeds": seeds, "methods": method},
        **{"reader_questions": reader_questions, "k": passages, **_asking(prompting)},
        **(_reading(reader, loading) if reader else {}),
    }
    _run(study_of({name: value for name, value in (always | settings).items() if value is not None}))


def _require_beside(context: typer.Context) -> None:
    """Raise RalmError for an option that would change nothing, as the study's file sets it."""
    for one in context.command.params:
        source = context.get_parameter_source(one.name or "")
        if one.name not in _BESIDE and source is not None and source.name == "COMMANDLINE":
            raise RalmError(f"A --config sets all of its study: leave {one.opts[0]} out, and set it there.")


def _given(encoding: QueryEncoding) -> dict[str, Any]:
    return {one.name: getattr(encoding, one.name) for one in fields(encoding)}


def _asking(prompting: Prompting) -> dict[str, Any]:
    """How passages are put to a reader, as a study sets it."""
    same = ("budget", "neighbours", "replug_temperature", "prompt")
    found = {name: getattr(prompting, name) for name in same}
    shots = None if prompting.shots is None else str(prompting.shots)
    return found | {"conditionings": prompting.conditioning, "shots": shots}


def _reading(reader: str, loading: Loading) -> dict[str, Any]:
    """The reader, as a study sets it."""
    choice = loading.choice(reader)
    settings = {
        **{"name": reader, "adapter": choice.adapter, "device": choice.device},
        "allow_pickle": choice.allow_pickle,
    }
    return {"readers": [settings], "quantizations": [choice.quantization]}


def _run(study: "Study") -> None:
    """Measure a study, write its report, and print its figures."""
    from pipelines.evaluate.report import write_report
    from pipelines.evaluate.study.running import run
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers
    from pipelines.show.measured import studies

    for one in study.readers:
        answers.loading(one.called)
    tables = run(study, for_terminal())
    output = Path(study.output)
    write_report(output)
    studies.study(tables, output)
