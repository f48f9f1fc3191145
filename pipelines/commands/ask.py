"""`ralm ask`: an answer from a store, with citations."""

from dataclasses import replace
from typing import Annotated

import typer

from base.errors import RalmError
from lm.backends.registry import open_reader
from lm.backends.weights import DEFAULT_READER
from lm.conditioning import DEFAULT_PASSAGES
from pipelines.commands.options import (
    Also,
    AsJson,
    Loading,
    Prompting,
    QueryEncoding,
    ReaderName,
    StoreOrText,
    Url,
    locate,
)
from pipelines.commands.remote.texts import the_text


def ask(  # noqa: PLR0913
    context: typer.Context,
    store: StoreOrText = None,
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="what to answer")] = None,
    url: Url = None,
    also: Also = None,
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    passages: Annotated[int, typer.Option("-k", help="passages the reader sees")] = DEFAULT_PASSAGES,
    prompting: Prompting = Prompting(),
    encoding: QueryEncoding = QueryEncoding(),
    no_retrieval: Annotated[bool, typer.Option("--no-retrieval", help="ask the LM alone")] = False,
    support: Annotated[
        bool, typer.Option("--support", help="measure how far each passage supports the answer")
    ] = False,
    only_supported: Annotated[
        bool,
        typer.Option("--only-supported", help="answer only if the reader is sure that the passages tell"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question from the store, with citations."""
    place, text = the_text("question", store, question, url, context)
    if passages < 1:
        raise RalmError(
            f"-k, the passages the reader sees, must be at least 1, not {passages}: --no-retrieval asks "
            "the LM alone."
        )
    how = prompting.of(passages)
    if no_retrieval:
        how = replace(how, kind="none")
    if support and not how.reads:
        raise RalmError("Without passages there is no support to measure: leave --support out.")
    if only_supported and not how.reads:
        raise RalmError("Without passages nothing is supported: leave --only-supported out.")
    if url is not None:
        from pipelines.commands.remote.asking import ask_at

        ask_at(url, text, how, {"support": support, "only_supported": only_supported}, as_json)
        return
    from retriever.refusals import require_text

    require_text([text])  # Before what takes seconds is imported.
    choice = loading.choice(reader)
    from pipelines.commands.stores import open_stores
    from pipelines.show import answers
    from serve.answering.answerer import Answerer
    from serve.answering.inquiry import ONE_PARAGRAPH, Inquiry

    paths = [locate(place), *(also or [])]
    retriever = None if not how.reads else open_stores(paths, encoding.opening())
    answers.loading(reader)
    answerer = Answerer(retriever, open_reader(choice))
    inquiry = Inquiry(text, how, replace(ONE_PARAGRAPH, only_supported=only_supported))
    answers.answer(text, answerer.ask(inquiry, support), answerer.reader, as_json)
