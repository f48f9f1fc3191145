"""The machine at hand: the cores and GPUs that a plan for files on it reckons with, unless told of others."""

import shutil
import subprocess
from dataclasses import dataclass

from base.threads import cores

# Its drivers answer in a second, or hang.
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Machine:
    """So many cores that this process may use, and the GPUs by their names."""

    cores: int
    gpus: tuple[str, ...]

    def of_kind(self, kind: str) -> int:
        """How many of the GPUs are of a kind that rates are known of, as H100 of `NVIDIA H100 80GB HBM3`."""
        return sum(kind.lower() in name.lower().split() for name in self.gpus)

    def doubt(self, kind: str) -> str:
        """A sentence about GPUs that cannot be reckoned with; empty if there are none."""
        others = [name for name in self.gpus if kind.lower() not in name.lower().split()]
        if not others:
            return ""
        return (
            f"Without this machine's {', '.join(dict.fromkeys(others))}, of which nothing is measured: give "
            "--gpu, --gpus, --gpu-tflops, --gpu-watts and --gpu-price to reckon with it."
        )


def at_hand() -> Machine:
    """This machine."""
    return Machine(cores(), _gpus())


def _gpus() -> tuple[str, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        asked = [tool, "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in found.stdout.splitlines() if line.strip())
