"""`ralm eval retrieval`: what each way of searching finds for questions."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import (
    AsJson,
    Conditions,
    Domains,
    QueryEncoding,
    Sample,
    Store,
    names,
    number_option,
)


def retrieval(  # noqa: PLR0913
    store: Store,
    questions: Annotated[Path, typer.Option(help="JSON Lines: question, gold_docs and/or answers")],
    methods: Annotated[
        str, typer.Option(help="of hybrid, dense, exact and bm25, with commas; the first is compared with")
    ] = "",
    metrics: Annotated[
        str, typer.Option(help="success, recall, MRR, nDCG, containment, containment MRR; default: all")
    ] = "",
    recall: Annotated[float | None, number_option("how hard the index tries, as of ralm search")] = None,
    sample: Sample = Sample(),
    domain: Domains = None,
    where: Conditions = None,
    limit: Annotated[int | None, typer.Option(help="take only the first questions")] = None,
    encoding: QueryEncoding = QueryEncoding(),
    as_json: AsJson = False,
) -> None:
    """Score what searches find: the index beside exact search, BM25 and both together."""
    from pipelines.evaluate.methods import RetrievalStudy, run
    from pipelines.execution.progress import for_terminal
    from pipelines.show.measured.rankings import rankings
    from pipelines.show.terminal import print_json
    from retriever.request import Effort

    study = RetrievalStudy(
        store=store,
        questions=questions,
        ways=names(methods),
        metrics=names(metrics),
        view=sample.view(domain, where),
        effort=Effort(recall),
        limit=limit,
        encoder=encoding.encoder,
        query_encoder=encoding.query_encoder,
    )
    found = run(study, for_terminal())
    if as_json:
        print_json(found.to_json())
    else:
        rankings(found)
