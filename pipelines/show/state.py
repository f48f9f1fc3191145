"""How a store is: what of its jobs is done, what is published, and whether it is whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from base.amounts import amount
from datastore.objects.origin import address_of
from pipelines.execution.metering.measured import total as total_of
from pipelines.jobs.stages import GONE
from pipelines.show.counts import dropped, unknown_tokens, warn_of_unknown
from pipelines.show.terminal import console
from pipelines.show.took import notes, speed, worked

if TYPE_CHECKING:
    from pipelines.jobs.status import JobStatus, Status


def status(store: Path, found: "Status") -> None:
    """Print the stages of a build, and of what has changed the store since."""
    for job in found.jobs:
        what = f": {_called(job)}" if len(found.jobs) > 1 else ""
        console.print(f"{address_of(store)}{what}", style="italic", markup=False, soft_wrap=True)
        console.print(_stages(job))
    for note in _notes(found):
        console.print(note, style="dim", markup=False)
    gone = [row for kind in GONE for row in kind.rows(found.removed)]
    for what, count in (*gone, *dropped(found.dropped)):
        console.print(f"{what}: {count}", markup=False)
    if found.manifest:
        m = found.manifest
        console.print(
            f"Published: generation {m.generation}, {amount(m.passages, 'passages')}, manifest {m.hash}."
        )
        for what, share in unknown_tokens(m.counts, m.encoder.name):
            console.print(f"{what}: {share}", markup=False)
        warn_of_unknown(m.counts, m.encoder.name)
        if hidden := m.rows - m.passages:
            console.print(
                f"Taken down and still on disk: {amount(hidden, 'passages')} (`ralm compact` frees the disk)."
            )
    if found.unfinished:
        console.print(
            f"Not finished: run the same `ralm {found.unfinished}` again, it goes on where it stopped, or "
            f"`ralm discard {address_of(store)}` to give it up.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    elif not found.manifest:
        console.print("Not finished: run the same `ralm build` again, it goes on where it stopped.")


def _notes(found: "Status") -> list[str]:
    """How fast each job embedded, and what told the joules of the first."""
    first, *later = found.jobs
    return [
        *notes({stage.name: stage.took for stage in first.stages}, found.took),
        *(
            f"{stage.name} of {_called(job)}: {fast}."
            for job in later
            for stage in job.stages
            if (fast := speed(stage.took))
        ),
    ]


def _called(job: "JobStatus") -> str:
    """A job and what it made, as far as that is known."""
    if job.generation is None:
        return f"{job.name}, not finished"
    return f"{job.name}, generation {job.generation}" if job.generation else f"{job.name}, done"


def _stages(job: "JobStatus") -> Table:
    table = Table(box=None)
    for name, justify in (
        ("stage", "left"),
        ("done", "right"),
        ("of", "right"),
        ("worked", "right"),
        ("energy", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for stage in job.stages:
        if stage.total == 0:
            continue
        total = "?" if stage.total is None else f"{stage.total:,}"
        style = "green" if stage.done == stage.total else "yellow" if stage.done else "dim"
        table.add_row(stage.name, f"{stage.done:,}", total, *worked(stage.took), style=style)
    table.add_row("in all", "", "", *worked(total_of(stage.took for stage in job.stages)))
    return table


def verified(store: Path, problems: Sequence[str]) -> None:
    """Print what `verify` found."""
    for problem in problems:
        console.print(problem, style="red", markup=False, soft_wrap=True)
    if not problems:
        console.print(
            f"{address_of(store)} is whole: checksums, counts and rows agree.", markup=False, soft_wrap=True
        )
