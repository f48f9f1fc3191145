"""`ralm eval perplexity`: what passages of a store are worth to a reader of running text."""

from typing import Annotated

import typer

from lm.backends.reader_choice import ReaderChoice
from lm.backends.weights import DEFAULT_READER
from pipelines.commands.options import (
    AdapterFolder,
    AllowPickle,
    AsJson,
    EncoderPlace,
    QuantizationName,
    QueryEncoderPlace,
    ReaderDevice,
    ReaderName,
    Store,
    TextFields,
    named_sources,
    number_option,
)
from pipelines.readers.formats import READABLE


def perplexity(  # noqa: PLR0913
    store: Store,
    texts: Annotated[list[str], typer.Argument(help=f"what is scored: files and folders of {READABLE}")],
    reader: ReaderName = DEFAULT_READER,
    quantization: QuantizationName = None,
    adapter: AdapterFolder = None,
    reader_device: ReaderDevice = "auto",
    allow_pickle: AllowPickle = False,
    passages: Annotated[int, typer.Option("-k", help="passages in front of the text")] = 1,
    stride: Annotated[int, typer.Option(help="tokens scored between two searches")] = 64,
    window: Annotated[
        int | None,
        typer.Option(help="tokens read at once, passages included; default: 1024, if it holds them"),
    ] = None,
    query: Annotated[int, typer.Option(help="tokens before a stride that are searched by")] = 32,
    fraction: Annotated[float, number_option("search a sample of the store")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="which sample")] = 0,
    method: Annotated[str | None, typer.Option(help="dense, bm25 or hybrid (default, if it can)")] = None,
    decontaminate: Annotated[
        str,
        typer.Option(
            metavar="METHOD", help="drop hits with the text itself: overlap, containment, jaccard, none"
        ),
    ] = "overlap",
    limit: Annotated[int | None, typer.Option(help="take only the first texts")] = None,
    text_fields: TextFields = None,
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
    as_json: AsJson = False,
) -> None:
    """Score texts with passages and without, from the same number of tokens before each."""
    choice = ReaderChoice(reader, quantization, adapter, reader_device, allow_pickle)
    choice.require()
    from datastore.view import View
    from pipelines.evaluate.perplexity.measuring import PerplexityStudy, run
    from pipelines.execution.progress import for_terminal
    from pipelines.show import answers, perplexities
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
        view=View(fraction, seed),
        method=Method(method or None),  # type: ignore[arg-type]
        decontaminate=None if decontaminate == "none" else decontaminate,
        limit=limit,
        encoder=encoder,
        query_encoder=query_encoder,
    )
    answers.loading(reader)
    found = run(study, for_terminal())
    if as_json:
        print_json(found.to_json())
    else:
        perplexities.perplexity(found)
