"""`ralm plan`: what a store would take, before anything is bought."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import RalmError
from pipelines.commands.options import (
    AsJson,
    IndexKey,
    IndexMemory,
    IndexRecall,
    TextFields,
    named_sources,
)
from retriever.encoding.usage import DEFAULT_ENCODER

if TYPE_CHECKING:
    from pipelines.plan.encoder import EncoderShape

Amount = float | None
_TOKENS = "of a corpus that is only a number: 1.4T, 250B, 10M"
_MAX_TOKENS = 512


def plan(  # noqa: PLR0913
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="files, folders and s3:// prefixes to sample, instead of --tokens"),
    ] = None,
    text_field: TextFields = None,
    tokens: Annotated[str | None, typer.Option(help=_TOKENS)] = None,
    limit: Annotated[int | None, typer.Option(help="read only the first documents of SOURCES")] = None,
    encoder: Annotated[str, typer.Option(help="packaged name, folder or hub name")] = DEFAULT_ENCODER,
    dimension: Annotated[
        int | None, typer.Option(min=1, help="of an encoder that is not at hand, with --encoder-parameters")
    ] = None,
    encoder_parameters: Annotated[
        str | None, typer.Option(help="outside its embedding tables: 85M, 7B")
    ] = None,
    encoder_tokens: Annotated[int | None, typer.Option(min=3, help="the longest input it takes")] = None,
    index_key: IndexKey = "auto",
    index_memory: IndexMemory = None,
    index_recall: IndexRecall = None,
    gpus: Annotated[
        int | None, typer.Option(help="GPUs; 0: cores embed; default: this machine's for SOURCES, else 8")
    ] = None,
    gpu: Annotated[str | None, typer.Option(help="their kind, H100; of others give the next three")] = None,
    gpu_tflops: Annotated[Amount, typer.Option(help="TFLOP/s of a 16-bit matrix product")] = None,
    gpu_price: Annotated[Amount, typer.Option(help="$ a GPU-hour")] = None,
    gpu_watts: Annotated[Amount, typer.Option(help="watts a GPU")] = None,
    mfu: Annotated[Amount, typer.Option(help="share of those TFLOP/s reached when embedding")] = None,
    cores: Annotated[
        int | None, typer.Option(help="CPU cores; default: this machine's for SOURCES, else 128")
    ] = None,
    core_price: Annotated[Amount, typer.Option(help="$ a core-hour")] = None,
    core_watts: Annotated[Amount, typer.Option(help="watts a core")] = None,
    disk_tb: Annotated[Amount, typer.Option(help="TB of disk there is")] = None,
    disk_price: Annotated[Amount, typer.Option(help="$ a TB-month")] = None,
    months: Annotated[Amount, typer.Option(help="how long the store is kept")] = None,
    pue: Annotated[Amount, typer.Option(help="power usage effectiveness of the data centre")] = None,
    carbon: Annotated[Amount, typer.Option(help="g of CO2 a kWh")] = None,
    hardware: Annotated[Path | None, typer.Option(help="a YAML file of these and every other rate")] = None,
    as_json: AsJson = False,
) -> None:
    """Foresee a store's bytes, hours, money, energy and carbon, from measured rates; writes nothing.

    SOURCES are planned for this machine, --tokens for a cluster of 128 cores and eight H100, unless told.
    """
    from base.amounts import parse_bytes
    from pipelines.config import load_config
    from pipelines.plan.arithmetic import Wish, make_plan
    from pipelines.plan.corpus import CorpusSize, parse_count
    from pipelines.plan.machine import at_hand
    from pipelines.plan.rates import Flags, load_rates
    from pipelines.plan.tables import show_plan, to_json
    from pipelines.show.ignored import ignored
    from pipelines.show.terminal import console, print_json

    if bool(sources) == bool(tokens):
        raise RalmError("Nothing says what to plan for: give either --tokens 1.4T or files to sample.")
    flags = Flags(
        gpu=gpu,
        gpus=gpus,
        gpu_tflops=gpu_tflops,
        gpu_price=gpu_price,
        gpu_watts=gpu_watts,
        mfu=mfu,
        cores=cores,
        core_price=core_price,
        core_watts=core_watts,
        disk_tb=disk_tb,
        disk_price=disk_price,
        months=months,
        pue=pue,
        carbon=carbon,
    )
    # A corpus of files is built here, if nobody says where else; one that is only a number, on a cluster.
    here = at_hand() if sources and hardware is None else None
    rates = load_rates(hardware, flags, here)
    config = load_config(
        None,
        # A build's settings need a source; of tokens alone there is none to read.
        sources=named_sources(sources or ["tokens"], text_fields=text_field),
        encoder=encoder,
        index_key=index_key,
        index_memory=index_memory,
        index_recall=index_recall,
        limit=limit,
    )
    shape = _shape(encoder, dimension, encoder_parameters, encoder_tokens)
    unread = ""
    if tokens:
        corpus = CorpusSize.of_tokens(parse_count(tokens, "--tokens"), shape, rates)
    else:
        from pipelines.jobs.estimate import foresee

        foreseen = foresee(config)
        corpus, unread = CorpusSize.of_sample(foreseen), ignored(foreseen.ignored)
    index = Wish(parse_bytes(config.index_memory), config.index_recall, config.index_key)
    made = make_plan(corpus, shape, rates, index)
    if as_json:
        print_json(to_json(made))
    else:
        show_plan(made, console)
        if here and gpus is None and gpu is None and (doubt := here.doubt(rates.gpu)):
            console.print(f"\n{doubt}", style="yellow", markup=False)
        if unread:
            console.print(unread, style="yellow", markup=False)


def _shape(name: str, dimension: int | None, parameters: str | None, tokens: int | None) -> "EncoderShape":
    """The encoder as it is given, or as its folder says."""
    from pipelines.plan.corpus import parse_count
    from pipelines.plan.encoder import EncoderShape
    from retriever.encoding.checkpoint import Checkpoint

    if dimension is not None and parameters is not None:
        counted = parse_count(parameters, "--encoder-parameters")
        return EncoderShape.given(name, dimension, counted, tokens or _MAX_TOKENS)
    if dimension is not None or parameters is not None:
        raise RalmError("--dimension and --encoder-parameters describe an encoder together: give both.")
    try:
        found = EncoderShape.of(Checkpoint.find(name))
    except RalmError as error:
        raise RalmError(f"{error} To plan without it, give --dimension and --encoder-parameters.") from None
    return replace(found, max_tokens=tokens) if tokens else found
