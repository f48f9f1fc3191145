"""`ralm build`: a corpus to a datastore."""

from pathlib import Path
from typing import Annotated

import typer

from base.errors import RalmError
from base.threads import cores
from pipelines.commands.options import (
    AnySources,
    Domain,
    ExecutorOption,
    IndexKey,
    IndexMemory,
    IndexRecall,
    Limit,
    TextFields,
    Workers,
    as_executor,
    locate,
    named_sources,
)


def build(  # noqa: PLR0913
    sources: AnySources = None,
    store: Annotated[
        Path, typer.Option("-o", "--output", help="its folder, or s3://...", parser=locate, metavar="STORE")
    ] = Path("store"),
    config: Annotated[Path | None, typer.Option(help="a YAML file with these settings and more")] = None,
    domain: Domain = None,
    text_field: TextFields = None,
    encoder: Annotated[str | None, typer.Option(help="packaged name, folder or hub name")] = None,
    query_encoder: Annotated[str | None, typer.Option(help="its tower for queries, if it has two")] = None,
    query_prompt: Annotated[str | None, typer.Option(help="in front of queries; default: its own")] = None,
    passage_prompt: Annotated[str | None, typer.Option(help="in front of passages")] = None,
    pooling: Annotated[str | None, typer.Option(help="mean, cls or last, if it is a plain model")] = None,
    similarity: Annotated[str | None, typer.Option(help="cosine or dot; default: its own")] = None,
    index_key: IndexKey = None,
    index_memory: IndexMemory = None,
    index_recall: IndexRecall = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda: what embeds and indexes")] = None,
    limit: Limit = None,
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
    executor: ExecutorOption = "auto",
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
        from pipelines.show.builds import dry_run as show_estimate

        # As many as would work: without Ray it is this process.
        count = workers or (cores() if chosen != "local" else 1)
        show_estimate(estimate(settings, count), count, with_ray=chosen != "local")
        return
    from datastore.files.layout import Layout
    from pipelines.execution.executor import open_executor
    from pipelines.execution.progress import for_terminal
    from pipelines.jobs.build import Build
    from pipelines.jobs.target import check_target
    from pipelines.show.builds import built

    store = store.absolute()  # Workers of a cluster run in folders of their own.
    check_target(Layout(store))
    with open_executor(chosen, workers) as running:
        manifest = Build(Layout(store), settings, running, for_terminal()).run()
    built(store, manifest)
