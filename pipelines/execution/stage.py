"""What a stage of the build is, and how one of its tasks is carried out.

A stage is a frozen, picklable description; `run(number)` is a pure function of one split or shard
that writes whole files and returns a marker. Knows nothing of executors.

Decisions: docs/decisions/execution.md.
"""

import ctypes
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any, Protocol

import orjson

from datastore.files.json import write_json
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo
from pipelines.execution.metering.energy import Meter

# Rejects of one reason and task that are written out in full; all are counted.
REMOVED_SAMPLE = 1000


class Stage(Protocol):
    """One stage of a job. `name` is its folder of markers, `unit` what its progress counts.

    One may say more: that its tasks run on a `device` other than the CPU, go `in_order`, or leave word of how
    far they are (`reports`).
    """

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def layout(self) -> Layout: ...

    def sizes(self) -> Sequence[int]:
        """The work in each task, in units; tasks are numbered from 0."""

    def run(self, number: int) -> Marker:
        """Do one task: a function of the configuration and its input alone."""


def perform(stage: Stage, number: int) -> None:
    """Carry out one task and mark it done; what was measured goes beside the marker."""
    meter = Meter(on_gpu=getattr(stage, "device", "cpu") != "cpu")
    with meter.running():
        marker = stage.run(number)
    write_json(stage.layout.measured(stage.name, number), meter.drawn.to_json() | dict(marker.aside))
    stage.layout.mark(stage.name, number, marker)
    give_back_memory()


def give_back_memory() -> None:
    """Hand what a task has freed back to the system.

    glibc keeps it where something still in use lies behind it, in ever more places: a worker that embeds grew
    by a tenth from its sixtieth task to its three hundredth. Elsewhere (musl, macOS) there is no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@dataclass
class RemovedLog:
    """What one task removed, by reason: counts of all, lines of a sample (all, if unlimited)."""

    layout: Layout
    number: int
    counts: dict[str, int] = field(default_factory=dict)
    _files: dict[str, SpooledTemporaryFile[bytes]] = field(default_factory=dict)

    def add(self, reason: str, line: dict[str, Any], sample: int | None = REMOVED_SAMPLE) -> None:
        """Count one removed record and, up to `sample` of its reason, keep a line about it."""
        seen = self.counts.get(reason, 0)
        self.counts[reason] = seen + 1
        if sample is None or seen < sample:
            if reason not in self._files:
                self._files[reason] = SpooledTemporaryFile(max_size=1 << 22)  # noqa: SIM115
            self._files[reason].write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def write(self) -> list[FileInfo]:
        """Write the lines to `removed/<reason>/<number>.jsonl`."""
        infos = []
        for reason, lines in sorted(self._files.items()):
            with lines:
                lines.seek(0)
                path = self.layout.removed(reason, self.number)
                infos.append(self.layout.write(path, partial(shutil.copyfileobj, lines)))
        return infos
