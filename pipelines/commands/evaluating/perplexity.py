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
    names,
)
from pipelines.readers.formats import READABLE


def perplexity(  # noqa: PLR0913
    store: Store,
    texts: Annotated[list[str], typer.Argument(help=f"what is scored: files and folders of {READABLE}")],
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    protocol: Annotated[
        str,
        typer.Option(help="fixed: passages take the place of the oldest text; massiveds: they are added"),
    ] = "fixed",
    passages: Annotated[
        int | None, typer.Option("-k", help="passages in front of the text; default: 1, massiveds 3")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="tokens scored between two searches; default: 64, massiveds 512")
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="tokens read at once; default: 1024, or what a reader holds")
    ] = None,
    query: Annotated[
        int | None, typer.Option(help="tokens before a stride that search; default: 32, massiveds 512")
    ] = None,
    controls: Annotated[
        str, typer.Option(help="of random, bm25 and oracle, with commas: other passages, to compare with")
    ] = "",
    sample: Sample = Sample(),
    method: MethodName = None,
    decontaminate: Annotated[
        str | None,
        typer.Option(
            metavar="METHODS",
            help="drop hits with the text: overlap (default), jaccard, containment (massiveds: all), none",
        ),
    ] = None,
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
    from pipelines.evaluate.perplexity.protocols import protocol as named
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers
    from pipelines.show.measured import perplexities
    from pipelines.show.terminal import print_json
    from retriever.request import Method

    study = PerplexityStudy(
        store=store,
        texts=tuple(named_sources(texts, text_fields=text_fields)),
        reader=choice,
        protocol=named(
            protocol,
            passages=passages,
            stride=stride,
            window=window,
            query=query,
            decontaminate=None if decontaminate is None else _rules(decontaminate),
        ),
        controls=names(controls),  # type: ignore[arg-type]
        view=sample.view(),
        method=Method(method or None),  # type: ignore[arg-type]
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


def _rules(text: str) -> tuple[str, ...]:
    """Names of rules; none of them for "none"."""
    return () if text == "none" else names(text)
