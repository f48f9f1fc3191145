"""The end of a reader: what it generates ends with it."""

from lm.reader import ReaderStopped


class End:
    """The end of all that a reader generates, once it has come."""

    def __init__(self) -> None:
        self._come = False

    def come(self) -> None:
        self._come = True

    def check(self) -> None:
        """Raise ReaderStopped if it has come."""
        if self._come:
            raise ReaderStopped
