"""A request on its way: whoever reads puts its text in, piece by piece, and whoever asked takes it out.

The two are different threads. Knows no model.
"""

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from queue import SimpleQueue
from typing import ParamSpec, Protocol, TypeVar

from lm.prompts import Asked
from lm.reader import Completion, Position, ReaderStopped, Sampling, TextStream, Took

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Leaver(Protocol):
    """What somebody asks for, and may leave."""

    def leave(self) -> None:
        """Want it no more."""
        ...


class Asker:
    """Whoever asks for texts: once it has gone, none of them is wanted any more."""

    def __init__(self) -> None:
        self._asked: list[Leaver] = []
        self._gone = False

    def ask(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What a call gives. Whatever it asks for in this context, it asks for this asker."""
        token = _ASKER.set(self)
        try:
            return call(*args, **kwargs)
        finally:
            _ASKER.reset(token)

    def wants(self, one: Leaver) -> None:
        """Let a request be this asker's."""
        self._asked.append(one)
        if self._gone:
            one.leave()

    def leave(self) -> None:
        """Want none of it any more."""
        self._gone = True
        for one in self._asked:
            one.leave()


# Who asks in this context: it is handed on to threads with the context, and through no signature.
_ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)


def asked(one: Leaver) -> Asker | None:
    """Who asks in this context, and now for this; None: nobody who may go."""
    asker = _ASKER.get()
    if asker is not None:
        asker.wants(one)
    return asker


class Pending:
    """What is asked, how it is to be continued, and the way back for the text."""

    def __init__(self, prompt: Asked, sampling: Sampling) -> None:
        self.asked, self.sampling = prompt, sampling
        # Cleared by whoever asked: nobody waits for the text any more.
        self.wanted = True
        # Set once a piece has been given: the text cannot be begun anew.
        self.begun = False
        # Called once nobody waits any more, by whichever thread sees it.
        self.left: Callable[[], object] = lambda: None
        # The tokens so far, if their log-probabilities are asked for.
        self.positions: list[Position] = []
        self._pieces: SimpleQueue[str | None] = SimpleQueue()
        self._end: Completion | BaseException | None = None
        # When it was asked, when its prompt began to be read, and when its first token came.
        self._came, self._read, self._first = time.perf_counter(), 0.0, 0.0
        # Who asks for it, where that is somebody who may go.
        self.asker = asked(self)

    def reading(self) -> None:
        """Its prompt is read from now on."""
        self._read, self._first = time.perf_counter(), 0.0

    def writing(self) -> None:
        """A token has come."""
        self._first = self._first or time.perf_counter()

    @property
    def took(self) -> Took:
        """The seconds of its way, now that it ends."""
        now = time.perf_counter()
        read = self._read or now
        first = self._first or now
        return Took(read - self._came, first - read, now - first)

    def put(self, piece: str) -> None:
        """Give a piece of the text."""
        if piece:
            self.begun = True
            self._pieces.put(piece)

    def end(self, found: Completion | BaseException) -> None:
        """Give the whole text, or what has gone wrong with it. Only the first end counts."""
        if self._end is None:
            self._end = found
            self._pieces.put(None)

    @property
    def ended(self) -> bool:
        return self._end is not None

    @property
    def whole(self) -> Completion | None:
        """The whole text; None where there is none, or not yet."""
        return self._end if isinstance(self._end, Completion) else None

    def leave(self) -> None:
        """Want the text no more; a thread that waits for a piece goes on."""
        self.wanted = False
        self._pieces.put(None)
        self.left()

    def pieces(self) -> Iterator[str]:
        """The pieces as they come. Raises what has gone wrong."""
        while (piece := self._pieces.get()) is not None:
            yield piece
        if isinstance(self._end, BaseException):
            raise self._end

    def completion(self) -> Completion:
        """Wait for the whole text. Raises what has gone wrong."""
        for _ in self.pieces():
            pass
        return self._whole()

    def _whole(self) -> Completion:
        if self._end is None and not self.wanted:
            raise ReaderStopped("Whoever asked for this text has gone.")
        assert isinstance(self._end, Completion)
        return self._end

    def stream(self) -> TextStream:
        """The pieces as a stream; one that is closed, or read no further, is wanted no more."""

        def pieces() -> Iterator[str]:
            try:
                yield from self.pieces()
            finally:
                self.leave()
            stream.finished = isinstance(self._end, Completion) and self._end.finished

        stream = TextStream(pieces(), self.leave, self._whole)
        stream.positions = self.positions
        return stream
