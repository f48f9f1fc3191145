"""One change to a store that many tasks carry out: what it was begun with, what of it is done.

A build is one, so are an addition and a compaction. Everything decided is decided before the first task and
written to the job's `build.json`, so a job that is killed and started again goes on as the same job.

Decisions: docs/decisions/execution.md, laws-and-bytes.md, object-storage.md.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import move
from datastore.generations.generation import published
from datastore.generations.manifest import FileEntry, Manifest
from datastore.generations.sweep import sweep
from datastore.objects.origin import Origin, address_of
from pipelines.execution.compare import CompareStage
from pipelines.execution.differences import differences
from pipelines.execution.executor import Executor
from pipelines.execution.markers import markers_of
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.execution.reports import Watch, watching
from pipelines.execution.stage import Stage
from pipelines.execution.task import Task

# What stages hand to each other, and the bytes that tasks write. Raised when a change to the code makes a job
# that is half done go on wrongly.
WORK = 4
# The folder of what could not be read.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Job:
    """A job on one store, and who carries it out. Its layout names it."""

    layout: Layout
    executor: Executor
    progress: BuildProgress

    def claim(self, settings: Mapping[str, Any]) -> None:
        """Fix what the job's bytes follow from, or compare it with what the job was begun with."""
        if not self.layout.build_file.exists():
            self.executor.start()  # Nothing is begun on a cluster that cannot be reached.
            self.layout.write_settings({**settings, "work": WORK})
            return
        begun = self.layout.read_settings()
        work = begun.pop("work", 1)
        if work != WORK and not self._published:
            raise RalmError(
                f"{address_of(self.layout.root)} was begun by another version of ralm, whose work this one "
                f"would go on with wrongly: finish it with that one, or {self._way_out}."
            )
        if differ := differences(begun, settings):
            name, others = address_of(self.layout.root), f"other settings ({'; '.join(differ)})"
            if self._published:
                raise RalmError(
                    f"{name} holds a finished store that was begun with {others}: add to it with "
                    f"`ralm add {name}`, or {self._way_out}."
                )
            raise RalmError(f"{name} was begun with {others}: use those again, or {self._way_out}.")

    @property
    def _published(self) -> bool:
        """Whether this is the build of a store that there is already."""
        return not self.layout.job and published(self.layout)

    @property
    def _way_out(self) -> str:
        name = address_of(self.layout.root)
        if self.layout.job:
            return f"give up what was begun with `ralm discard {name}`"
        if Origin.of(self.layout.root):
            return f"choose another address (or delete the cache {self.layout.root}, if that is empty)"
        return f"choose another folder{', or delete this one: nothing of it is published' * self._may_go}"

    @property
    def _may_go(self) -> bool:
        """Whether the folder of a build holds nothing that could be missed."""
        layout = self.layout
        kept = [layout.pointer, *layout.manifests.glob("*"), *layout.takedowns(0).parent.glob("*")]
        return not any(path.exists() for path in kept) and not layout.strangers

    def perform(self, stage: Stage) -> list[Marker]:
        """Carry out what is left of a stage; return the markers of all its tasks."""
        with self._shown(stage) as advance:
            left = [Task(stage, n) for n in self._left(stage)]

            def done(task: Task) -> tuple[Task, ...]:
                advance(task.number)
                return ()

            if left:
                self.executor.run(left, done, getattr(stage, "in_order", False))
        return self._markers(stage)

    def perform_both(self, first: Stage, second: Stage) -> tuple[list[Marker], list[Marker]]:
        """Carry out two stages at a time: a task of the second as soon as that of its number is done.

        For stages that do not compete for the same processors. The second one's progress is shown.
        """
        left, then = self._left(first), {*self._left(second)}
        with self._shown(second) as advance:

            def done(task: Task) -> tuple[Task, ...]:
                if task.stage is second:
                    advance(task.number)
                return (Task(second, task.number),) if task.stage is first and task.number in then else ()

            ready = [Task(second, n) for n in sorted(then - {*left})]
            if ready or left:
                self.executor.run([*ready, *(Task(first, n) for n in left)], done)
        return self._markers(first), self._markers(second)

    def compare(self, name: str, files: Iterable[FileEntry]) -> None:
        """Compare files of the store with their checksums, in each run anew.

        Raises RalmError naming one that is not what it was.
        """
        stage = CompareStage.of(name, self.layout, files)
        shutil.rmtree(self.layout.marker(stage.name, 0).parent, ignore_errors=True)
        self.perform(stage)

    def _left(self, stage: Stage) -> list[int]:
        return [n for n in range(len(stage.sizes())) if self.layout.done(stage.name, n) is None]

    @contextmanager
    def _shown(self, stage: Stage) -> Iterator[Callable[[int], None]]:
        """Show a stage's progress; gives what tells of a task that is done. Nothing left, nothing shown."""
        sizes, left = stage.sizes(), self._left(stage)
        # A stage without work, such as training a Flat index, is done but not shown.
        progress = self.progress if sum(sizes) and left else Silent()
        with shown(progress, stage.name, stage.unit, sum(sizes), sum(sizes) - sum(sizes[n] for n in left)):
            watch = Watch(self.layout, stage.name, sizes, progress.advance)
            with watching(watch) if left and getattr(stage, "reports", False) else nullcontext():
                yield watch.done

    def _markers(self, stage: Stage) -> list[Marker]:
        return markers_of(self.layout, stage.name, len(stage.sizes()))

    def finish(self) -> None:
        """Clear away what stages handed to each other."""
        shutil.rmtree(self.layout.work, ignore_errors=True)


def only_file(marker: Marker) -> FileEntry:
    """The one file that a task wrote."""
    (info,) = marker.files
    return FileEntry.of(info)


def require_turn(layout: Layout, manifest: Manifest) -> None:
    """Raise RalmError if the job was begun on other shards than those of this generation.

    On one machine the lock sees to it; a store in object storage may have been changed from another one.
    """
    if not layout.job.startswith(f"{manifest.edition + 1:04d}-"):
        raise RalmError(
            f"{address_of(layout.root)} was added to or compacted from another machine meanwhile: run the "
            "same command again."
        )


def pending(layout: Layout, manifest: Manifest) -> Layout | None:
    """The job that was begun on a published store and is not finished, if there is one."""
    for begun in (layout.root / "stages").glob(f"{manifest.edition + 1:04d}-*/build.json"):
        return Layout(layout.root, begun.parent.name)
    return None


def begin(layout: Layout, manifest: Manifest, kind: str) -> Layout:
    """The layout of the store's next job. Raises RalmError if another kind of job is not finished."""
    mine = Layout(layout.root, f"{manifest.edition + 1:04d}-{kind}")
    unfinished = pending(layout, manifest)
    if unfinished is None:
        # Left by a job that was killed after it had published, and by one that added nothing.
        shutil.rmtree(layout.work, ignore_errors=True)
        shutil.rmtree(layout.root / "removed" / mine.job, ignore_errors=True)
    elif unfinished.job != mine.job:
        what = unfinished.job.partition("-")[2]
        name = address_of(layout.root)
        raise RalmError(
            f"{name} has an unfinished `ralm {what}`: run the same command again to finish it, or "
            f"`ralm discard {name}` to give it up."
        )
    return mine


def discard(layout: Layout, manifest: Manifest, keep_removed: bool = False) -> str | None:
    """Give up the job that is not finished and delete what it wrote; its name, None if there is none.

    `keep_removed` leaves the report of what could not be read.
    """
    found = pending(layout, manifest)
    if found is None:
        return None
    # In one step: of markers without settings another job would believe that they are its own.
    move(found.stages, found.work / "discarded")
    shutil.rmtree(found.work, ignore_errors=True)
    removed = found.root / "removed" / found.job
    for folder in removed.glob("*"):
        if not (keep_removed and folder.name == UNREADABLE):
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        removed.rmdir()  # If nothing is left in it.
    sweep(layout)
    return found.job
