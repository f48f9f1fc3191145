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
    Store,
    require_one_text,
)


def ask(  # noqa: PLR0913
    context: typer.Context,
    store: Store,
    question: Annotated[str, typer.Argument(help="what to answer")],
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
    as_json: AsJson = False,
) -> None:
    """Answer a question from the store, with citations."""
    from retriever.refusals import require_text

    require_one_text("question", question, context)
    require_text([question])  # Before what takes seconds is imported.
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
    choice = loading.choice(reader)
    from pipelines.commands.stores import open_stores
    from pipelines.show import answers
    from serve.answering.answerer import Answerer
    from serve.answering.inquiry import Inquiry

    retriever = None if not how.reads else open_stores([store, *(also or [])], encoding.opening())
    answers.loading(reader)
    answerer = Answerer(retriever, open_reader(choice))
    answers.answer(question, answerer.ask(Inquiry(question, how), support), answerer.reader, as_json)
