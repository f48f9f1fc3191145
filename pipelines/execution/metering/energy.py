"""What a task draws: the machine's own counters where they can be read, else an estimate that says so.

CPU: RAPL's counters of packages and memory (Linux's powercap). They count the whole machine, so a task is
charged its share of the machine's busy CPU time, every ten seconds anew. The shares of tasks that run at
once, in whatever processes, add up to one at most: nothing is counted twice, and what other programs draw is
not charged to us.

GPU: NVML's counter of the one GPU that a task for a GPU uses. The executor gives a GPU to one task at a time,
so all of it is that task's; on a GPU that other programs use too it is an upper bound.

Where there is no counter, CPU seconds and GPU seconds times the watts below, and the source is "estimate".

Nothing here may stop a build: a counter that cannot be read is one that is not there.

Decisions: docs/decisions/energy.md.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.pulse import every

POWERCAP = Path("/sys/class/powercap")
STAT = Path("/proc/stat")
# What codecarbon 3.3.2 (`core/cpu.py`) takes for a thread of a CPU whose design power it does not know.
CORE_WATTS = 4.0
# NVIDIA's data sheet of the H100 SXM: thermal design power.
GPU_WATTS = 700.0
# A package's counter wraps after some 2^18 joules: at 1 kW that is 4 minutes.
_SAMPLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one task took: wall seconds, CPU seconds of its process, joules, and what told them."""

    seconds: float
    cpu_seconds: float
    joules: float
    source: str

    def to_json(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "joules": round(self.joules, 3),
            "energy_source": self.source,
        }


@dataclass
class _Zone:
    """One counter of microjoules that starts again from 0 behind `most`."""

    path: Path
    most: int
    last: int
    total: int = 0

    def sample(self) -> None:
        with suppress(OSError, ValueError):
            now = int(self.path.read_text())
            self.total += now - self.last if now >= self.last else now + self.most - self.last
            self.last = now


class Rapl:
    """Joules that CPU packages and their memory have drawn since this was made."""

    def __init__(self, root: Path = POWERCAP) -> None:
        self._zones = list(_zones(root))

    @property
    def readable(self) -> bool:
        """Whether there is any counter (Linux lets only root read them)."""
        return bool(self._zones)

    def joules(self) -> float:
        """Read all counters. To be called more often than they wrap."""
        for zone in self._zones:
            zone.sample()
        return sum(zone.total for zone in self._zones) / 1e6


def _zones(root: Path) -> Iterator[_Zone]:
    """The counters to add up: packages, and memory, which a package's does not hold.

    Cores and graphics are part of their package, "psys" is all of the platform, and the zones of
    intel-rapl-mmio are the packages again. AMD's are called intel-rapl too.
    """
    for folder in sorted(root.glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (folder / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                counter = folder / "energy_uj"
                most = int((folder / "max_energy_range_uj").read_text())
                yield _Zone(counter, most, int(counter.read_text()))


def busy_seconds(stat: Path = STAT) -> float | None:
    """Seconds that the machine's CPUs have worked since it was started; None where nothing says so."""
    try:
        ticks = [int(part) for part in stat.read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    return (sum(ticks) - sum(ticks[3:5])) / os.sysconf("SC_CLK_TCK")


def gpu_joules() -> float | None:
    """What this process's first GPU has drawn since its driver was loaded; None where NVML cannot say."""
    try:
        import pynvml
    except ImportError:
        return None
    first = (os.environ.get("CUDA_VISIBLE_DEVICES") or "0").split(",")[0].strip()
    try:
        pynvml.nvmlInit()
        if first.isdigit():
            device = pynvml.nvmlDeviceGetHandleByIndex(int(first))
        else:
            device = pynvml.nvmlDeviceGetHandleByUUID(first)
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(device)) / 1e3
    except pynvml.NVMLError:
        return None


def gpu_used() -> bool:
    """Whether this process has used a GPU: a task for one that finds none goes to the CPU."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def cpu_share(cpu_seconds: float, busy: float) -> float:
    """The share of the machine's work that a task did. Busy time comes in ticks, so a task may seem more."""
    return cpu_seconds / max(busy, cpu_seconds) if cpu_seconds > 0 else 0.0


class Share:
    """Joules that are this process's share of what the machine's CPUs have drawn since this was made."""

    def __init__(self, powercap: Path = POWERCAP, stat: Path = STAT) -> None:
        self._rapl, self._stat = Rapl(powercap), stat
        self._lock = threading.Lock()
        self._joules, self._last = 0.0, self._now()
        self.readable = self._rapl.readable and busy_seconds(stat) is not None

    def _now(self) -> tuple[float, float, float]:
        return self._rapl.joules(), time.process_time(), busy_seconds(self._stat) or 0.0

    def joules(self) -> float:
        """Charge what was drawn since the last call: power and others' work vary, so call often."""
        with self._lock:
            now = self._now()
            drawn, cpu, busy = (new - old for new, old in zip(now, self._last, strict=True))
            self._joules += drawn * cpu_share(cpu, busy)
            self._last = now
            return self._joules

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Charge in the background: often enough to be fair, and to see every wrap of a counter."""
        if not self.readable:
            yield
            return
        with every(_SAMPLE_SECONDS, self.joules):
            yield


@dataclass
class Meter:
    """Measures what is done within `running`, in this process."""

    on_gpu: bool = False
    powercap: Path = POWERCAP
    stat: Path = STAT
    _drawn: Drawn | None = field(default=None, init=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure. What raises has drawn nothing that is recorded: its task will be done again."""
        share, started, cpu = Share(self.powercap, self.stat), time.perf_counter(), time.process_time()
        gpu = gpu_joules() if self.on_gpu else None
        with share.watched():
            yield
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        joules, source = (share.joules(), "rapl") if share.readable else (cpu * CORE_WATTS, "estimate")
        if self.on_gpu and gpu_used():
            more, told = _of_gpu(gpu, seconds)
            joules, source = joules + more, told if told == source else f"{told}+{source}"
        self._drawn = Drawn(seconds, cpu, joules, source)

    @property
    def drawn(self) -> Drawn:
        """What was measured."""
        assert self._drawn is not None, "nothing has run yet"
        return self._drawn


def _of_gpu(before: float | None, seconds: float) -> tuple[float, str]:
    now = gpu_joules() if before is not None else None
    if before is None or now is None:
        return seconds * GPU_WATTS, "estimate"
    return now - before, "nvml"
