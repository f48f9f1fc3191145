"""A reader's name to a reader: the one place that knows which kinds there are.

Loads a kind's module as a reader of it is opened: torch and transformers take seconds.
"""

from lm.backends.reader_choice import ReaderChoice
from lm.reader import Reader


def open_reader(choice: ReaderChoice) -> Reader:
    """The reader of a choice: a packaged one, a GGUF file, a folder, or a model of the hub.

    Raises RalmError if there is none.
    """
    choice.require()
    from lm.backends.transformers_reader import TransformersReader

    return TransformersReader(choice)
