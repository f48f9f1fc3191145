"""`ralm ask`: an answer from a store, with citations."""

from typing import Annotated

import typer

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.backends.weights import DEFAULT_READER
from lm.conditioning import Conditioning
from pipelines.commands.options import (
    AdapterFolder,
    AllowPickle,
    Also,
    AsJson,
    Budget,
    ConditioningName,
    EncoderPlace,
    Neighbours,
    PromptKind,
    QuantizationName,
    QueryEncoderPlace,
    ReaderDevice,
    ReaderName,
    ReplugTemperature,
    Shots,
    Store,
    as_shots,
    require_one_text,
)

_USUAL = Conditioning()


def ask(  # noqa: PLR0913
    context: typer.Context,
    store: Store,
    question: Annotated[str, typer.Argument(help="what to answer")],
    also: Also = None,
    reader: ReaderName = DEFAULT_READER,
    quantization: QuantizationName = None,
    adapter: AdapterFolder = None,
    reader_device: ReaderDevice = "auto",
    allow_pickle: AllowPickle = False,
    passages: Annotated[int, typer.Option("-k", help="passages the reader sees")] = _USUAL.passages,
    budget: Budget = _USUAL.budget,
    conditioning: ConditioningName = _USUAL.kind,
    neighbours: Neighbours = _USUAL.neighbours,
    replug_temperature: ReplugTemperature = _USUAL.replug_temperature,
    prompt: PromptKind = _USUAL.prompt,
    shots: Shots = None,
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
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
    kind = "none" if no_retrieval else conditioning
    examples = as_shots(shots)
    how = Conditioning(kind, passages, budget, neighbours, replug_temperature, prompt, examples)  # type: ignore[arg-type]
    choice = ReaderChoice(reader, quantization, adapter, reader_device, allow_pickle)
    choice.require()
    from pipelines.commands.stores import open_stores
    from pipelines.show import answers
    from retriever.opened import Opening
    from serve.answerer import Answerer

    opening = Opening(encoder=encoder, query_encoder=query_encoder)
    retriever = None if not how.reads else open_stores([store, *(also or [])], opening)
    answers.loading(reader)
    answerer = Answerer(retriever, open_reader(choice))
    answers.answer(question, answerer.ask(question, how, support=support), answerer.reader, as_json)
