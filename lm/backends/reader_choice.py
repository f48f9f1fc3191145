"""Which reader is wanted, and how it is loaded: one value, handed on whole by all who open readers.

Decisions: docs/decisions/reader-and-citations.md.
"""

import re
from dataclasses import dataclass

from base.errors import RalmError
from base.names import did_you_mean
from lm.backends.adapters import require_adapter
from lm.backends.quantizations import quantization
from lm.backends.remote.address import Address, is_address
from lm.backends.weights import DEFAULT_READER, require_reader

_DEVICES = ("auto", "cpu", "cuda", "cuda:1")


@dataclass(frozen=True, slots=True)
class ReaderChoice:
    """A reader by its name, and how it is loaded.

    `quantization` None is the default one; of weights that are quantized already, none but theirs. `adapter`
    is a folder of PEFT's, for prompts that hold passages. `device` is cpu, cuda, cuda:1, or auto: a GPU if
    there is one. `allow_pickle` loads weights that are pickles, which may run code.
    """

    name: str = DEFAULT_READER
    quantization: str | None = None
    adapter: str | None = None
    device: str = "auto"
    allow_pickle: bool = False

    def require(self) -> None:
        """Raise RalmError for what plainly names no reader: before anything that takes seconds is loaded."""
        if is_address(self.name):
            self._require_remote()
            return
        if self.quantization is not None:
            found = quantization(self.quantization)
            found.require_package()
            if found.gpu_only and self.device == "cpu":
                raise on_a_gpu_alone(found.name)
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            near = did_you_mean(self.device, _DEVICES)
            raise RalmError(
                f"Unknown device {self.device!r} of a reader: valid are auto, cpu, cuda and cuda:1{near}"
            )
        require_reader(self.name, self.allow_pickle)
        if self.adapter is not None:
            require_adapter(self.adapter, self.allow_pickle)

    def _require_remote(self) -> None:
        Address.of(self.name)
        given = {
            "--quantization": self.quantization is not None,
            "--adapter": self.adapter is not None,
            "--reader-device": self.device != "auto",
            "--allow-pickle": self.allow_pickle,
        }
        if options := [name for name, is_given in given.items() if is_given]:
            raise RalmError(
                f"A server loads its reader itself: leave {' and '.join(options)} out for {self.name}."
            )


def on_a_gpu_alone(name: str) -> RalmError:
    """The error for a quantization that no CPU has kernels for."""
    return RalmError(f"The quantization {name} has kernels on GPUs alone: choose int8 or nf4 on a CPU.")
