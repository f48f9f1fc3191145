"""`ralm`: one command for each of the three jobs, and for looking at what they made (`upkeep.py`)."""

import os
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from base.errors import RalmError
from base.threads import cores
from datastore.files.refused import refused
from lm.weights import DEFAULT_QUANTIZATION, DEFAULT_READER, ReaderError, require_quantization, require_reader
from pipelines import show, upkeep
from pipelines.evaluate.command import scaling
from pipelines.options import (
    Also,
    AsJson,
    EncoderPlace,
    ExecutorName,
    QuantizationName,
    QueryEncoderPlace,
    ReaderName,
    Store,
    TextFields,
    Workers,
    as_device,
    as_executor,
    as_place,
    locate,
    named_sources,
)
from pipelines.plan.command import plan
from pipelines.readers.formats import READABLE
from pipelines.stopping import Stoppable, end

# Torch, FAISS and Ray take seconds to import: each command imports what it needs.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evaluation = typer.Typer(no_args_is_help=True, help="Measure what a larger datastore buys.")
app.add_typer(evaluation, name="eval")


def build(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help=f"files, folders and s3:// prefixes of {READABLE}; hf://NAME?config=C&split=S"),
    ] = None,
    store: Annotated[
        Path, typer.Option("-o", "--output", help="its folder, or s3://...", parser=locate, metavar="STORE")
    ] = Path("store"),
    config: Annotated[Path | None, typer.Option(help="a YAML file with these settings and more")] = None,
    domain: Annotated[str | None, typer.Option(help="domain of all records of SOURCES")] = None,
    text_field: TextFields = None,
    encoder: Annotated[str | None, typer.Option(help="packaged name, folder or hub name")] = None,
    query_encoder: Annotated[str | None, typer.Option(help="its tower for queries, if it has two")] = None,
    query_prompt: Annotated[str | None, typer.Option(help="in front of queries; default: its own")] = None,
    passage_prompt: Annotated[str | None, typer.Option(help="in front of passages")] = None,
    pooling: Annotated[str | None, typer.Option(help="mean, cls or last, if it is a plain model")] = None,
    similarity: Annotated[str | None, typer.Option(help="cosine or dot; default: its own")] = None,
    index_key: Annotated[str | None, typer.Option(help="auto, Flat, IVF1024,PQ96x4fs, ...")] = None,
    index_memory: Annotated[str | None, typer.Option(help="memory for the index, 4GiB")] = None,
    index_recall: Annotated[float | None, typer.Option(help="recall@10 to aim at, 0.95")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda: what embeds and indexes")] = None,
    limit: Annotated[int | None, typer.Option(help="read only the first documents")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="gopher_quality, c4, ... (repeatable, in this order)")
    ] = None,
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates", help="drop documents nearly like another (MinHash)")
    ] = False,
    duplicate_lines: Annotated[
        bool, typer.Option("--duplicate-lines", help="leave out lines that occurred in the corpus before")
    ] = False,
    duplicate_text: Annotated[
        str | None, typer.Option(metavar="drop|keep", help="keep: of documents with one text keep all")
    ] = None,
    duplicate_passages: Annotated[
        str | None, typer.Option(metavar="keep|drop", help="drop: of passages with one text keep the first")
    ] = None,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="drop passages with text of these questions (repeatable)"),
    ] = None,
    takedowns: Annotated[
        str | None, typer.Option(help="a file of takedowns, or the store they are of")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show the plan, write nothing")] = False,
    executor: ExecutorName = "auto",
    workers: Workers = None,
) -> None:
    """Build a datastore; run the same command again to resume one that was stopped."""
    from pipelines.config import load_config

    chosen = as_executor(executor)
    listed = named_sources(sources or [], domain, text_field) or None
    if (domain or text_field) and not listed:
        option = "--domain" if domain else "--text-field"
        raise RalmError(f"{option} is for sources on the command line: name them, or set it in the file.")
    if not listed and config is None:
        raise RalmError("Nothing is named to build of: name files or folders, or a --config with `sources`.")
    settings = load_config(
        config,
        sources=listed,
        encoder=encoder,
        query_encoder=query_encoder,
        query_prompt=query_prompt,
        passage_prompt=passage_prompt,
        pooling=pooling,
        similarity=similarity,
        index_key=index_key,
        index_memory=index_memory,
        index_recall=index_recall,
        device=device,
        limit=limit,
        filters=filters or None,
        near_duplicates={} if near_duplicates else None,
        duplicate_lines={} if duplicate_lines else None,
        duplicate_text=duplicate_text,
        duplicate_passages=duplicate_passages,
        decontaminate=decontaminate or None,
        takedowns=takedowns,
    )
    if dry_run:
        from pipelines.jobs.estimate import estimate

        # As many as would work: without Ray it is this process.
        count = workers or (cores() if chosen != "local" else 1)
        show.dry_run(estimate(settings, count), count, with_ray=chosen != "local")
        return
    from datastore.files.layout import Layout
    from pipelines.execution.executor import open_executor
    from pipelines.execution.progress import for_terminal
    from pipelines.jobs.build import Build, check_target

    store = store.absolute()  # Workers of a cluster run in folders of their own.
    check_target(Layout(store))
    with open_executor(chosen, workers) as running:
        manifest = Build(Layout(store), settings, running, for_terminal()).run()
    show.built(store, manifest)


def search(
    store: Store,
    query: Annotated[str, typer.Argument(help="what to look for")],
    also: Also = None,
    k: Annotated[int, typer.Option("-k", help="passages to show")] = 5,
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
    device: Annotated[str, typer.Option(help="cpu or cuda: what encodes and searches")] = "cpu",
    index_in: Annotated[str, typer.Option(help="memory, disk, or auto: memory if it fits")] = "auto",
    recall: Annotated[
        float | None, typer.Option(help="quickest setting of this recall@10, instead of the next two")
    ] = None,
    nprobe: Annotated[int | None, typer.Option(help="lists to probe")] = None,
    depth: Annotated[int | None, typer.Option(help="vectors to re-score exactly; 0: none")] = None,
    method: Annotated[str | None, typer.Option(help="dense, bm25 or hybrid (default, if it can)")] = None,
    fusion: Annotated[str, typer.Option(help="how hybrid joins: rrf or weighted")] = "weighted",
    domain: Annotated[list[str] | None, typer.Option(help="only of this domain (repeatable)")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="only what has it so: year>=2010 (repeatable)")
    ] = None,
    fraction: Annotated[float, typer.Option(help="search a sample of the store")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="which sample")] = 0,
    near_duplicates: Annotated[float | None, typer.Option(help="drop hits so like a better one, 0.8")] = None,
    decontaminate: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="drop hits with the query's text: containment, overlap, jaccard"),
    ] = None,
    cross_encoder: Annotated[str | None, typer.Option(help="rank the best hits by this model")] = None,
    diversity: Annotated[float, typer.Option(help="prefer hits unlike those chosen, 0 to 1")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Show the passages nearest to a query."""
    from datastore.view import Condition, View
    from pipelines.stores import Opening, open_stores
    from retriever.ranking.results import Method, Seconds
    from retriever.refinement import Decontamination, Refinement
    from retriever.refusals import Asked, require_text
    from retriever.shortfall import Shortfall, low_recall
    from serve.answerer import ranking_to_json, setting_to_json

    require_text([query])
    conditions = tuple(Condition.parse(text) for text in where or [])
    view = View(fraction, seed, tuple(domain or []), conditions)
    how = Method(method or "hybrid", fusion)  # type: ignore[arg-type]
    drops = Decontamination.by(decontaminate) if decontaminate else None
    refinement = Refinement(near_duplicates, drops, cross_encoder, diversity)
    by_words = method == "bm25"
    how_opened = Opening(as_device(device), as_place(index_in), encoder, query_encoder, words_only=by_words)
    stores = [store, *(also or [])]
    Asked(k, view, recall, nprobe, depth, how if method else None).check(stores)
    retriever = open_stores(stores, how_opened)
    seconds = Seconds()
    chosen = None if by_words else retriever.setting(k, recall, nprobe, depth)
    how = how if method else replace(how, name=retriever.method.name)
    (ranking,) = retriever.refine([query], k, refinement, view, chosen, how, seconds=seconds)
    left_out = retriever.left_out(view)
    notes = [f"{name} has no such domain or column: nothing of it is in this view." for name in left_out]
    by_default = recall is None and nprobe is None and depth is None
    if chosen is not None and by_default and (low := low_recall(retriever, chosen, k)):
        notes.append(low)
    shortfall = Shortfall(retriever, view, chosen, how, refinement.filters).of(query, ranking)
    if as_json:
        show.print_json(
            {
                "query": query,
                "manifest": retriever.hash,
                **ranking_to_json(ranking, shortfall),
                "left_out": list(left_out),
                "setting": setting_to_json(retriever, chosen, k, how, view),
                "seconds": seconds.stages,
            }
        )
    else:
        show.hits(ranking, [*notes, *([shortfall] if shortfall else [])])


def ask(
    store: Store,
    question: Annotated[str, typer.Argument(help="what to answer")],
    also: Also = None,
    reader: ReaderName = DEFAULT_READER,
    quantization: QuantizationName = DEFAULT_QUANTIZATION,
    passages: Annotated[int, typer.Option("-k", help="passages the reader sees")] = 3,
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
    no_retrieval: Annotated[bool, typer.Option("--no-retrieval", help="ask the LM alone")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question from the store, with citations."""
    from retriever.refusals import require_text

    require_text([question])  # Before what takes seconds is imported.
    if passages < 1:
        raise RalmError(
            f"-k, the passages the reader sees, must be at least 1, not {passages}: --no-retrieval asks "
            "the LM alone."
        )
    require_quantization(quantization)
    require_reader(reader)
    from lm.reader import TransformersReader
    from pipelines.stores import Opening, open_stores
    from serve.answerer import Answerer

    opening = Opening(encoder=encoder, query_encoder=query_encoder)
    retriever = None if no_retrieval else open_stores([store, *(also or [])], opening)
    show.loading(reader)
    answerer = Answerer(retriever, TransformersReader(reader, quantization))
    show.answer(question, answerer.ask(question, passages), answerer.reader, as_json)


def serve(
    store: Store,
    port: Annotated[int, typer.Option(help="TCP port")] = 8000,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    reader: ReaderName = DEFAULT_READER,
    quantization: QuantizationName = DEFAULT_QUANTIZATION,
    device: Annotated[str, typer.Option(help="cpu or cuda: what encodes and searches")] = "cpu",
    index_in: Annotated[str, typer.Option(help="memory, disk, or auto: memory if it fits")] = "auto",
    encoder: EncoderPlace = None,
    query_encoder: QueryEncoderPlace = None,
    also: Also = None,
    searchers: Annotated[int, typer.Option(min=0, help="Ray searchers for each store; 0: none")] = 0,
    partial: Annotated[bool, typer.Option("--partial", help="answer without a lost searcher")] = False,
) -> None:
    """Serve search and chat completions over HTTP (see /docs)."""
    require_quantization(quantization)
    require_reader(reader)
    if partial and not searchers:
        raise RalmError("--partial is for lost searchers: give --searchers too, or leave it out.")
    from lm.reader import TransformersReader
    from pipelines.stores import Opening, open_stores
    from serve.answerer import Answerer
    from serve.app import create_app
    from serve.listening import listen
    from serve.server import Server

    # Taken before the models load: a port in use is worth knowing at once.
    with listen(host, port) as listener:
        opening = Opening(as_device(device), as_place(index_in), encoder, query_encoder, searchers, partial)
        retriever = open_stores([store, *(also or [])], opening)
        show.loading(reader)
        answerer = Answerer(retriever, TransformersReader(reader, quantization))
        del retriever  # Under this name the generation of the start would stay open for as long as we serve.
        show.serving(host, listener.getsockname()[1])
        Server(create_app(answerer), answerer.reader).run(sockets=[listener])
    end(0)


def demo(
    store: Annotated[Path, typer.Option("-o", "--output", help="the store's folder")] = Path("demo-store"),
    executor: Annotated[str, typer.Option(help="ray or local")] = "ray",
) -> None:
    """Build a store from this machine's Python documentation and answer three questions from it."""
    from pipelines.demo import run

    run(store.absolute(), as_executor(executor))


# In the order of `ralm --help`.
for command in (
    build,
    plan,
    upkeep.add,
    upkeep.delete,
    upkeep.compact,
    upkeep.discard,
    upkeep.sweep,
    upkeep.status,
    upkeep.verify,
    search,
    upkeep.card,
    ask,
    serve,
    demo,
):
    app.command()(command)
evaluation.command()(scaling)


def _say_version(asked: bool) -> None:
    if asked:
        show.console.print(f"ralm {version('ralm')}")
        raise typer.Exit


@app.callback()
def ralm(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Build a datastore, query it and the LM that reads it, measure what it buys."""


def main() -> None:
    """Run the command line: what the user can mend is one sentence and exit code 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with Stoppable(sys.argv[1:]):
        try:
            app()
        except (RalmError, ReaderError) as error:
            sys.stderr.write(f"ralm: {error}\n")
            sys.exit(2)
        except BrokenPipeError:
            # The reader of our output has gone, as `ralm search ... | head` does.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            sys.stderr.write(f"ralm: {refused(error)}\n")
            sys.exit(2)


if __name__ == "__main__":
    main()
