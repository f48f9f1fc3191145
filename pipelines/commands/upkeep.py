"""The commands that change a store that is there, or say how it is; `cli.py` registers them.

As there, each imports what it needs.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import (
    Domain,
    ExecutorOption,
    Limit,
    QueryEncoding,
    Sources,
    Store,
    TextFields,
    Workers,
    Yes,
    as_device,
    as_executor,
    named_sources,
)


def add(  # noqa: PLR0913
    store: Store,
    sources: Sources,
    domain: Domain = None,
    text_field: TextFields = None,
    encoding: QueryEncoding = QueryEncoding(),
    model: Annotated[
        list[Path] | None, typer.Option(help="a fastText model that the store was filtered by (repeatable)")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; default: the store's")] = None,
    limit: Limit = None,
    executor: ExecutorOption = "auto",
    workers: Workers = None,
) -> None:
    """Add documents to a store; run the same command again to resume one that was stopped."""
    from datastore.files.layout import Layout
    from datastore.generations.generation import current
    from pipelines.execution.executor import open_executor
    from pipelines.execution.progress import for_terminal
    from pipelines.jobs.add import Addition
    from pipelines.show import changes

    chosen, store = as_executor(executor), store.absolute()
    listed = tuple(named_sources(sources, domain, text_field))
    before = current(Layout(store))
    with open_executor(chosen, workers) as running:
        there = as_device(device) if device else None
        job = Addition(
            Layout(store),
            listed,
            running,
            for_terminal(),
            limit=limit,
            encoder=encoding.encoder,
            device=there,
            query_encoder=encoding.query_encoder,
            models=tuple(model or ()),
        )
        changes.added(store, before, *job.run())


def delete(  # noqa: PLR0913
    store: Store,
    ids: Annotated[list[str] | None, typer.Option(help="of this document id (repeatable)")] = None,
    ids_file: Annotated[Path | None, typer.Option(help="JSON Lines of domain and id")] = None,
    domain: Annotated[list[str] | None, typer.Option(help="of this domain (repeatable)")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="only what has it so: year<2010 (repeatable)")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would go, change nothing")] = False,
    yes: Yes = False,
) -> None:
    """Take documents down at once, by domain and id; later adds keep them out, `build --takedowns` too."""
    from pipelines.jobs.delete import Deletion
    from pipelines.show import changes
    from pipelines.show.asking import confirmed
    from pipelines.show.terminal import console

    deletion = Deletion(store, tuple(ids or ()), ids_file, tuple(domain or ()), tuple(where or ()))
    meant = deletion.meant()
    if dry_run:
        changes.would_delete(meant)
        return
    changes.to_delete(meant)
    if not confirmed("take them down", yes):
        console.print("Nothing is taken down.")
        raise typer.Exit(1)
    before, after, documents = deletion.run(meant.documents)
    changes.deleted(store, before, after, documents)


def compact(
    store: Store,
    encoding: QueryEncoding = QueryEncoding(),
    executor: ExecutorOption = "auto",
    workers: Workers = None,
) -> None:
    """Rewrite shards without what is taken down, join small ones, and free what nobody reads any more."""
    from datastore.files.layout import Layout
    from datastore.generations.generation import current
    from pipelines.execution.executor import open_executor
    from pipelines.execution.progress import for_terminal
    from pipelines.jobs.compact import Compaction
    from pipelines.show import changes

    chosen, layout = as_executor(executor), Layout(store.absolute())
    before = current(layout)
    with open_executor(chosen, workers) as running:
        job = Compaction(layout, running, for_terminal(), encoding.encoder, encoding.query_encoder)
        changes.compacted(store, before, *job.run())


def discard(store: Store, yes: Yes = False) -> None:
    """Give up an `add` or `compact` that was begun and not finished, and delete what it wrote."""
    from datastore.files.layout import Layout
    from datastore.generations.generation import current
    from pipelines.execution.job import discard as give_up
    from pipelines.jobs.status import unfinished_work
    from pipelines.show import changes
    from pipelines.show.asking import confirmed
    from pipelines.show.terminal import console

    layout = Layout(store)
    current(layout)  # Before the lock makes a folder of a mistyped name.
    with layout.lock():
        if work := unfinished_work(layout, current(layout)):
            changes.to_discard(work)
            if not confirmed("give it up", yes):
                console.print("Nothing is given up.")
                raise typer.Exit(1)
        job = give_up(layout, current(layout))
    changes.discarded(store, job)


def sweep(
    store: Store,
    older_than: Annotated[float, typer.Option(help="days; what a generation of that time needs stays")] = 7,
) -> None:
    """Delete from a bucket what only generations of before consist of, and what was never published."""
    from datastore.files.layout import Layout
    from datastore.generations.sweep import sweep_objects
    from pipelines.show import changes

    changes.swept(store, sweep_objects(Layout(store), older_than))


def status(store: Store) -> None:
    """Say what of a build is done and what is left."""
    from pipelines.jobs.status import status as read_status
    from pipelines.show import state

    state.status(store, read_status(store))


def verify(store: Store) -> None:
    """Read every byte of a store and say whether it is whole (exit code 1 if not)."""
    from datastore.verify import verify as find_problems
    from pipelines.show import state

    problems = find_problems(store)
    state.verified(store, problems)
    if problems:
        raise typer.Exit(1)


def card(
    store: Store,
    questions: Annotated[Path | None, typer.Option(help="JSON Lines to measure with")] = None,
    limit: Annotated[int, typer.Option(help="take only the first questions")] = 1000,
    encoding: QueryEncoding = QueryEncoding(),
) -> None:
    """Measure what each setting of a store's index finds and costs; `search --recall` chooses by it."""
    from pipelines.execution.progress import for_terminal
    from pipelines.indexing.card import measure_again
    from pipelines.questions import read_questions
    from pipelines.show.measured import cards

    file = read_questions(questions, limit) if questions else None
    if file and file.warning:
        for_terminal().say(file.warning)
    texts = [question.text for question in file.questions] if file else []
    cards.card(measure_again(store, texts, encoding.encoder, encoding.query_encoder))
