"""Which reader is wanted, and how it is loaded: one value, handed on whole by all who open readers."""

from dataclasses import dataclass

from base.errors import RalmError
from lm.backends.quantizations import require_quantization
from lm.backends.remote.address import Address, is_address
from lm.backends.weights import DEFAULT_READER, require_reader


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
            require_quantization(self.quantization)
        require_reader(self.name)

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
