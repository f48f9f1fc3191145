"""A reader's name to a reader: the one place that knows which kinds there are.

Loads a kind's module as a reader of it is opened: torch and transformers take seconds.
"""

from lm.backends.reader_choice import ReaderChoice
from lm.backends.remote.address import is_address
from lm.backends.weights import PACKAGED
from lm.reader import Reader


def open_reader(choice: ReaderChoice) -> Reader:
    """The reader of a choice: a packaged one, a GGUF file, a folder, a model of the hub, or a server.

    Raises RalmError if there is none.
    """
    choice.require()
    if is_address(choice.name):
        from lm.backends.remote.remote_reader import RemoteReader

        return RemoteReader(choice.name)
    from lm.backends.transformers_reader import TransformersReader

    return TransformersReader(choice)


def require_memory(choice: ReaderChoice) -> None:
    """Raise RalmError for a reader that this machine's memory cannot hold, before any weight is loaded."""
    packaged = choice.name in PACKAGED or choice.name.endswith(".gguf")
    if not packaged and not is_address(choice.name):
        from lm.backends import memory

        memory.require_memory(choice)
