"""`ralm eval perplexity`: what passages of a store are worth to a reader of running text."""

from typing import Annotated

import typer

from base.errors import RalmError
from lm.backends.weights import DEFAULT_READER
from pipelines.commands.options import (
    AsJson,
    Loading,
    MethodName,
    QueryEncoding,
    ReaderName,
    Sample,
    Store,
    TextFields,
    named_sources,
)
from pipelines.readers.formats import READABLE


def perplexity(  # noqa: PLR0913
    store: Store,
    texts: Annotated[list[str], typer.Argument(help=f"what is scored: files and folders of {READABLE}")],
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    passages: Annotated[int, typer.Option("-k", help="passages in front of the text")] = 1,
    stride: Annotated[int, typer.Option(help="tokens scored between two searches")] = 64,
    window: Annotated[
        int | None,
        typer.Option(help="tokens read at once, passages included; default: 1024, if it holds them"),
    ] = None,
    query: Annotated[int, typer.Option(help="tokens before a stride that are searched by")] = 32,
    sample: Sample = Sample(),
    method: MethodName = None,
    decontaminate: Annotated[
        str,
        typer.Option(
            metavar="METHOD", help="drop hits with the text itself: overlap, containment, jaccard, none"
        ),
    ] = "overlap",
    limit: Annotated[int | None, typer.Option(help="take only the first texts")] = None,
    text_fields: TextFields = None,
    encoding: QueryEncoding = QueryEncoding(),
    as_json: AsJson = False,
) -> None:
    """Score texts with passages and without, from the same number of tokens before each."""
    choice = loading.choice(reader)
    if loading.adapter is not None:
        raise RalmError("Running text is scored without an adapter, with passages too: leave --adapter out.")
    from pipelines.evaluate.perplexity.measuring import PerplexityStudy, run
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers
    from pipelines.show.measured import perplexities
    from pipelines.show.terminal import print_json
    from retriever.request import Method

    study = PerplexityStudy(
        store=store,
        texts=tuple(named_sources(texts, text_fields=text_fields)),
        reader=choice,
        passages=passages,
        stride=stride,
        window=window,
        query=query,
        view=sample.view(),
        method=Method(method or None),  # type: ignore[arg-type]
        decontaminate=None if decontaminate == "none" else decontaminate,
        limit=limit,
        encoder=encoding.encoder,
        query_encoder=encoding.query_encoder,
    )
    answers.loading(reader)
    found = run(study, for_terminal())
    if as_json:
        print_json(found.to_json())
    else:
        perplexities.perplexity(found)
