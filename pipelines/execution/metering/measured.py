"""What a job made and took: its generation, and what tasks took by stage and, added up, by generation.

None of it is in a checksum or in a manifest's hash: two builds of the same bytes take different times. A
stopped job keeps what its finished tasks took, so one that is resumed counts them too.

Decisions: docs/decisions/energy.md.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.errors import RalmError
from datastore.files.json import read_json, write_json
from datastore.files.layout import Layout
from datastore.files.writing import checksum
from datastore.generations.manifest import Manifest
from pipelines.execution.metering.peaks import peak_flops


@dataclass(frozen=True, slots=True)
class Measured:
    """What some tasks took together. `sources` names what told the joules.

    Of tasks that embed: `tokens` of passages, `flops` that these needed (padding apart), the `devices` that
    did it, and `most_flops` that those whose peak is known could have done in the same seconds.
    """

    tasks: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    joules: float = 0.0
    sources: tuple[str, ...] = ()
    tokens: int = 0
    flops: float = 0.0
    most_flops: float = 0.0
    devices: tuple[str, ...] = ()

    @property
    def mfu(self) -> float | None:
        """Model FLOPs utilization (Chowdhery et al. 2022, appendix B): the share of the devices' peak.

        Loading the model and writing vectors count in its time. None if the peak of a device is not known.
        """
        known = all(peak_flops(device, "bfloat16") for device in self.devices)
        return self.flops / self.most_flops if known and self.most_flops else None

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(
            self.tasks + other.tasks,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.joules + other.joules,
            tuple(sorted({*self.sources, *other.sources})),
            self.tokens + other.tokens,
            self.flops + other.flops,
            self.most_flops + other.most_flops,
            tuple(sorted({*self.devices, *other.devices})),
        )

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Measured":
        """Read a task's measured file, or a sum of them; what early stores do not have is nothing."""
        sources = content.get("energy_sources") or [content.get("energy_source", "")]
        devices = content.get("devices") or [content.get("device", "")]
        seconds = float(content.get("seconds", 0))
        return cls(
            int(content.get("tasks", 1)),
            seconds,
            float(content.get("cpu_seconds", 0)),
            float(content.get("joules", 0)),
            tuple(sorted({source for source in sources if source})),
            int(content.get("tokens", 0)),
            float(content.get("flops", 0)),
            _most_flops(content, seconds),
            tuple(sorted({device for device in devices if device})),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "joules": round(self.joules, 3),
            "energy_sources": list(self.sources),
            **(self._embedding() if self.devices else {}),
        }

    def _embedding(self) -> dict[str, Any]:
        return {
            "tokens": self.tokens,
            "flops": self.flops,
            "most_flops": self.most_flops,
            "devices": list(self.devices),
        }


def _most_flops(content: Mapping[str, Any], seconds: float) -> float:
    """What devices could have done: of a sum as it says, of a task by its device; 0 where nobody knows."""
    if "device" not in content:
        return float(content.get("most_flops", 0))
    return seconds * (peak_flops(content["device"], content.get("dtype", "float32")) or 0.0)


def total(parts: Iterable[Measured]) -> Measured:
    """All of them together."""
    return sum(parts, Measured())


def of_stage(layout: Layout, name: str) -> Measured:
    """What the finished tasks of one stage took."""
    files = sorted(layout.marker(name, 0).parent.glob("*.measured.json"))
    return total(Measured.of(read_json(path)) for path in files)


def made_file(layout: Layout) -> Path:
    """What a job leaves with its markers about the generation that it made; early stores have none."""
    return layout.stages / "made.json"


def write_made(layout: Layout, manifest: Manifest) -> None:
    """Leave word of the generation that the layout's job is about to publish.

    Before it does: a job that is killed right after must be known to be done.
    """
    path, word = made_file(layout), {"generation": manifest.generation, "xxh3": manifest.hash}
    if not path.exists() or read_json(path) != word:
        write_json(path, word)


def made(layout: Layout) -> int | None:
    """The generation that a job made; None without word of one, or if another machine's came before.

    Raises RalmError if the word is damaged.
    """
    path = made_file(layout)
    if not path.exists():
        return None
    try:
        generation, expected = (read_json(path)[name] for name in ("generation", "xxh3"))
        manifest = layout.manifest(generation)
    except (KeyError, TypeError, ValueError):
        raise RalmError(f"{path} is damaged: restore it from a copy.") from None
    # A cache does not have all manifests: one that is not there contradicts nothing.
    return None if manifest.exists() and checksum(manifest) != expected else int(generation)


def write_measured(layout: Layout, generation: int) -> None:
    """Add up what the layout's job took, beside the manifest of the generation that it made.

    That one is published already: a sum that cannot be written is no reason to fail.
    """
    with suppress(RalmError, OSError):
        _write_sum(layout, generation)


def _write_sum(layout: Layout, generation: int) -> None:
    folders = sorted(path.name for path in layout.stages.iterdir() if path.is_dir())
    stages = {name: found for name in folders if (found := of_stage(layout, name)).tasks}
    content = total(stages.values()).to_json()
    content["stages"] = {name: found.to_json() for name, found in stages.items()}
    write_json(layout.measured_manifest(generation), content)


def of_embedding(layout: Layout, generation: int) -> Measured:
    """What embedding took for one generation; nothing, if that is not known."""
    with suppress(RalmError, OSError):
        stages = read_json(layout.measured_manifest(generation)).get("stages", {})
        return total(Measured.of(stages[name]) for name in ("embed", "embed-early") if name in stages)
    return Measured()


def of_store(root: Path) -> Measured:
    """What all generations of a store took: its build, additions and compactions."""
    files = sorted(Layout(root).measured_manifest(0).parent.glob("*.measured.json"))
    return total(Measured.of(read_json(path)) for path in files)
