"""What a command changed of a store that was there, or would change."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from base.amounts import amount, duration
from datastore.files.layout import Layout
from datastore.generations.manifest import DOUBTFUL, Manifest
from datastore.objects.origin import Origin, address_of
from pipelines.jobs.stages import SHOWN_REMOVED, SHOWN_SKIPPED
from pipelines.show.counts import doubtful, dropped, known_ids, unknown_tokens, warn_of_unknown
from pipelines.show.ignored import ignored_by
from pipelines.show.terminal import console, print_rows
from pipelines.show.unreadable import unreadable

if TYPE_CHECKING:
    from datastore.generations.sweep import Swept
    from datastore.takedown import Takedown
    from pipelines.jobs.delete import Meant
    from pipelines.jobs.status import Work

_SHOWN_DOCUMENTS = 10
_SHOWN_DOMAINS = 5


def added(store: Path, before: Manifest, manifest: Manifest, counts: Mapping[str, int]) -> None:
    """Print what an addition brought."""
    rows = [
        ("records read", f"{counts['records']:,}"),
        ("unreadable", f"{counts['unreadable']:,}"),
        *SHOWN_SKIPPED.rows(counts),
        *SHOWN_REMOVED.rows(counts),
        ("documents added", f"{counts['indexed']:,}"),
        *dropped(counts),
        ("passages added", f"{counts['passages']:,}"),
        *unknown_tokens(counts, manifest.encoder.name),
        ("passages in all", f"{manifest.passages:,}"),
        ("generation", f"{manifest.generation}"),
        ("manifest", manifest.hash),
    ]
    print_rows(address_of(store), rows)
    warn_of_unknown(counts, manifest.encoder.name)
    job = Layout(store, f"{manifest.edition:04d}-add")
    if said := known_ids(counts, job if manifest.generation != before.generation else None):
        console.print(said, style="yellow", markup=False, soft_wrap=True)
    if DOUBTFUL in counts:
        console.print(doubtful(counts), style="yellow", markup=False)
    if counts["unreadable"]:
        listed = job.removed("unreadable", 0).parent
        unreadable(listed if listed.is_dir() else store / "removed")
    if counts["passages"] and (unread := ignored_by(job)):
        console.print(unread, style="yellow", markup=False)
    if not counts["passages"]:
        same = manifest.generation == before.generation
        console.print(
            "Nothing is new: the store stays as it was."
            if same
            else "No passage is new. The ids that came are taken from now on."
        )


def deleted(store: Path, before: Manifest, after: Manifest, documents: Sequence["Takedown"]) -> None:
    """Print what a takedown hid."""
    if after.generation == before.generation:
        console.print("All of them were taken down already: the store stays as it was.")
        return
    console.print(
        f"Taken down: {amount(len(documents), 'documents')}, "
        f"{amount(before.passages - after.passages, 'passages')}. "
        f"Generation {after.generation} has {after.passages:,}. "
        f"A server that is running leaves them out as soon as it has opened this generation. "
        f"`ralm compact {address_of(store)}` removes them from the disk.",
        markup=False,
        soft_wrap=True,
    )


def would_delete(meant: "Meant") -> None:
    """Print what a takedown would hide: to a file or a pipe, all of it."""
    _list(meant, _SHOWN_DOCUMENTS if console.is_terminal else len(meant.documents))
    console.print(f"{_amounts(meant)} would be taken down{_of(meant)}; nothing is changed.", markup=False)


def to_delete(meant: "Meant") -> None:
    """Print what a takedown is about to hide."""
    _list(meant, _SHOWN_DOCUMENTS)
    verb = "is" if len(meant.documents) == 1 else "are"
    console.print(f"{_amounts(meant)} {verb} to be taken down{_of(meant)}.", markup=False)


def _amounts(meant: "Meant") -> str:
    return f"{amount(len(meant.documents), 'documents')} with {amount(meant.passages, 'passages')}"


def _of(meant: "Meant") -> str:
    domains = Counter(document.domain for document in meant.documents)
    shown = [f"{count:,} of {domain}" for domain, count in domains.most_common(_SHOWN_DOMAINS)]
    others = len(domains) - len(shown)
    return f" ({', '.join([*shown, *([f'{others:,} domains more'] if others else [])])})"


def _list(meant: "Meant", most: int) -> None:
    for document in meant.documents[:most]:
        title = f"  [dim]{escape(title)}[/]" if (title := meant.titles.get(document)) else ""
        console.print(
            f"  [cyan]{escape(document.domain)}[/]  {escape(document.doc_id)}{title}",
            no_wrap=console.is_terminal,
            overflow="ellipsis",
        )
    if len(meant.documents) > most:
        console.print(f"  ... and {len(meant.documents) - most:,} more")


def to_discard(work: "Work") -> None:
    """Print what giving up a job is about to lose."""
    console.print(
        f"`ralm {work.job}` is not finished: {amount(work.tasks, 'tasks')} of it are done, "
        f"{duration(work.seconds)} of work. The same command again would go on with it.",
        markup=False,
    )


def discarded(store: Path, job: str | None) -> None:
    """Print which job was given up."""
    console.print(
        f"Gave up {job}: {address_of(store)} is as it was before."
        if job
        else f"{address_of(store)} has no unfinished job: nothing done.",
        markup=False,
    )


def compacted(store: Path, before: Manifest, after: Manifest, swept: "Swept") -> None:
    """Print what a compaction wrote and freed."""
    if after.edition == before.edition:
        console.print("Nothing to rewrite: no shard holds rows taken down, none fits into its neighbour.")
    else:
        console.print(
            f"Generation {after.generation}: {amount(after.passages, 'passages')} in "
            f"{amount(len(after.shards), 'shards')} "
            f"(before: {amount(before.rows, 'rows')} in {len(before.shards):,})."
        )
    # Objects go by their age: `swept`.
    where = f" in the cache {store}" if Origin.of(store) else ""
    console.print(f"Freed{where}: {amount(swept.bytes, 'bytes')}.", markup=False)
    if swept.open:
        numbers = ", ".join(map(str, swept.open))
        which = f"generation {numbers}" if len(swept.open) == 1 else f"generations {numbers}"
        console.print(f"Still open somewhere: {which}; the next `ralm compact` removes the files.")


def swept(store: Path, found: "Swept") -> None:
    """Print what a sweep of a bucket freed."""
    console.print(f"Freed in {address_of(store)}: {amount(found.bytes, 'bytes')}.", markup=False)
    if found.open:
        numbers = ", ".join(map(str, found.open))
        console.print(f"Generation {numbers} was current within that time: its files stay.")
