"""A reader's name to a reader: the one place that knows which kinds there are.

Loads a kind's module as a reader of it is opened: torch and transformers take seconds.
"""

from lm.backends.weights import require_quantization, require_reader
from lm.reader import Reader


def require_openable(name: str, quantization: str) -> None:
    """Raise RalmError for what plainly names no reader: before anything that takes seconds is loaded."""
    require_quantization(quantization)
    require_reader(name)


def open_reader(name: str, quantization: str, adapter: str | None = None) -> Reader:
    """The reader of a name: a packaged one, a GGUF file, a folder, or a model of the hub.

    `adapter`: a folder of PEFT's, for prompts that hold passages.

    Raises RalmError if there is none.
    """
    require_openable(name, quantization)
    from lm.backends.transformers_reader import TransformersReader

    return TransformersReader(name, quantization, adapter)
