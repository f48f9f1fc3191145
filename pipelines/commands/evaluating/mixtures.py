"""`ralm eval mixtures`: which domains a store should be made of, and which it could do without."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import QueryEncoding, Store


def mixtures(  # noqa: PLR0913
    store: Store,
    questions: Annotated[Path, typer.Option(help="JSON Lines: question, gold_docs or answers")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of a study, for tables and report")],
    count: Annotated[int, typer.Option(help="random mixtures that are tried")] = 300,
    budget: Annotated[float, typer.Option(help="share of the store's passages in a mixture")] = 0.1,
    passages: Annotated[int, typer.Option("-k", help="passages that a mixture is scored by")] = 5,
    seeds: Annotated[int, typer.Option(help="samples of the mixtures that are compared")] = 3,
    limit: Annotated[int | None, typer.Option(help="take only the first questions")] = None,
    encoding: QueryEncoding = QueryEncoding(),
) -> None:
    """Mix domains in many ways, as views of one search; name the best mixture and each domain's worth."""
    from pipelines.evaluate.mixtures.running import Mixing, run
    from pipelines.execution.progress import for_terminal
    from pipelines.show.measured.mixtures import mixed

    mixing = Mixing(
        store=store,
        questions=questions,
        output=output,
        count=count,
        budget=budget,
        k=passages,
        seeds=seeds,
        limit=limit,
        encoder=encoding.encoder,
        query_encoder=encoding.query_encoder,
    )
    mixed(run(mixing, for_terminal()), output)
