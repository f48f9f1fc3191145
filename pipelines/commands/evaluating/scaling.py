"""`ralm eval scaling`: what a larger datastore buys."""

from pathlib import Path
from typing import Annotated, Any

import typer

from base.errors import RalmError
from lm.conditioning import DEFAULT_PASSAGES
from pipelines.commands.options import Loading, MaybeStore, Prompting, QueryEncoding, Workers, as_executor


def scaling(  # noqa: PLR0913
    store: MaybeStore = None,
    config: Annotated[Path | None, typer.Option(help="a YAML file: STUDY.yaml, with tasks and axes")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSON Lines: question, answers and/or gold_docs")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="folder for table and plot")] = None,
    fractions: Annotated[str, typer.Option(help="shares of the store")] = "0.01,0.1,1",
    seeds: Annotated[int, typer.Option(help="samples at each fraction below 1")] = 3,
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
    executor: Annotated[str | None, typer.Option(help="ray, local or auto: what has the LM answer")] = None,
    workers: Workers = None,
) -> None:
    """Draw how retrieval and answers improve as the datastore grows."""
    if config is not None:
        _study(config, store=store, output=output, executor=executor, workers=workers)
        return
    if store is None or questions is None or output is None:
        raise RalmError("A study needs a STORE, --questions and --output, or all of them in a --config.")
    from pipelines.evaluate.curve_study import Study
    from pipelines.evaluate.scaling import run
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers
    from pipelines.show.measured import curves
    from retriever.request import Method

    try:
        shares = tuple(sorted({float(part) for part in fractions.split(",")}))
    except ValueError:
        raise RalmError(f"--fractions {fractions!r} is not a list of numbers such as 0.01,0.1,1.") from None
    study = Study(
        store=store,
        questions=questions,
        output=output,
        fractions=shares,
        seeds=seeds,
        reader=loading.choice(reader) if reader else None,
        reader_questions=reader_questions,
        conditioning=prompting.of(passages),
        limit=limit,
        method=Method(method),  # type: ignore[arg-type]
        encoder=encoding.encoder,
        query_encoder=encoding.query_encoder,
    )
    if study.reader:
        answers.loading(study.reader.name)
    curves.curve(run(study, for_terminal()), output)


def _study(config: Path, **overrides: Any) -> None:
    """Measure what STUDY.yaml asks for."""
    from pipelines.evaluate.study.running import run
    from pipelines.evaluate.study.settings import load_study
    from pipelines.execution.progress import for_terminal
    from pipelines.show.measured import studies

    if overrides["executor"] is not None:
        as_executor(overrides["executor"])
    given = {name: str(one) if isinstance(one, Path) else one for name, one in overrides.items()}
    study = load_study(config, **given)
    studies.study(run(study, for_terminal()), Path(study.output))
