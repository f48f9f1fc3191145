"""A reader for many at once: requests that wait together are read together, each answered for itself.

One thread reads. Whoever asks waits in a line, the oldest at its head; what can join a batch that is being
read does. Knows no model.

Decisions: docs/decisions/batching.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Condition, Thread
from traceback import clear_frames
from typing import Any, Protocol, cast

from base.errors import Busy, Unavailable
from lm import batches
from lm.batches import Job, Room
from lm.pending import Pending
from lm.prompts import Asked, Prompt
from lm.reader import (
    WHOLE,
    Completion,
    Continuation,
    EchoReader,
    Likelihood,
    Position,
    Reader,
    ReaderStopped,
    Sampling,
    TextStream,
    VocabularyReader,
    Windows,
)

# Requests that may wait, unless told: more of them would wait for minutes.
WAITING = 256
# Whoever is turned away is told to wait so long: about what a batch takes.
_RETRY_SECONDS = 10


class ManyReader(EchoReader, VocabularyReader, Protocol):
    """A reader that can read several requests as one batch."""

    @property
    def room(self) -> Room:
        """What one batch may hold."""
        ...

    @property
    def tokenizer_json(self) -> str | None:
        """Its tokenizer as the library `tokenizers` reads it; None for one of another kind."""
        ...

    def prepare(self, pending: Pending) -> Any:
        """What is to be read for a request. Raises RalmError for a prompt beyond the context."""
        ...

    def read(self, drafts: Sequence[Any], more: Callable[[Sequence[Any]], Sequence[Any]] = ...) -> None:
        """Read requests of one kind as one batch; each is given its text, and an error is raised.

        `more`, told which are being read, gives those that are to join them.
        """
        ...


class BatchingReader:
    """A reader around one that can read many: any number of threads may ask it at once."""

    def __init__(self, reader: ManyReader, waiting: int = WAITING) -> None:
        """`waiting` requests may wait for a batch; whoever asks beyond them is turned away (Busy)."""
        self._reader, self._most = reader, waiting
        self._line: list[Job] = []
        self._reading: list[Job] = []
        self._changed = Condition()
        self._stopped = False
        # Told of the texts of each batch, once it is read.
        self.told: Callable[[Sequence[Completion]], None] = lambda _: None
        # Who scores, or waits to; and how many have been served.
        self._scorers, self._scored = 0, 0
        # Daemon: a process that ends does not wait for whoever still waits here.
        self._thread = Thread(target=self._work, name="reader", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return self._reader.name

    @property
    def quantization(self) -> str:
        return self._reader.quantization

    @property
    def adapter(self) -> str | None:
        return self._reader.adapter

    @property
    def measured_bytes(self) -> int | None:
        return self._reader.measured_bytes

    @property
    def context_tokens(self) -> int:
        return self._reader.context_tokens

    @property
    def tokenizer_json(self) -> str | None:
        """Its tokenizer as the library `tokenizers` reads it; None for one of another kind."""
        return self._reader.tokenizer_json

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones."""
        return self._reader.count_tokens(text)

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model sees it."""
        return self._reader.prompt_tokens(prompt)

    @property
    def waiting(self) -> int:
        """Requests that wait for a batch."""
        return len(self._line)

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        """Continue several prompts, together with what others ask meanwhile."""
        return [one.completion() for one in self._queue([Pending(one, sampling) for one in asked])]

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        """Continue one prompt, in pieces as they come. A prompt that is too long fails here."""
        (pending,) = self._queue([Pending(asked, sampling)])
        return pending.stream()

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked, between two batches."""
        with self._scoring():
            return self._reader.loglikelihood(continuations)

    def loglikelihood_rolling(self, texts: Sequence[str], how: Windows = WHOLE) -> list[Likelihood]:
        """How likely each text is from its first token on, between two batches."""
        with self._scoring():
            return self._reader.loglikelihood_rolling(texts, how)

    def echo(self, prompts: Sequence[Prompt], top: int | None) -> list[tuple[Position, ...]]:
        """The tokens of plain prompts, each by its likelihood behind those before it, between two batches."""
        with self._scoring():
            return self._reader.echo(prompts, top)

    def ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens of a prompt as the model sees it."""
        return self._reader.ids(prompt)

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        return self._reader.tokens(text)

    def said(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return self._reader.said(tokens)

    def vocabulary(self) -> Mapping[str, Any]:
        """What its tokenizer is."""
        return self._reader.vocabulary()

    @contextmanager
    def _scoring(self) -> Iterator[None]:
        """Meanwhile nobody joins a batch, so that it ends; and one who scores goes before the next batch."""
        with self._changed:
            self._scorers += 1
        try:
            yield
        finally:
            with self._changed:
                self._scorers, self._scored = self._scorers - 1, self._scored + 1
                self._changed.notify_all()

    def stop(self) -> None:
        """End what is being read, and refuse who waits and whoever asks for more.

        The model ends after its next token, which behind a long prompt takes seconds; who waits for it does
        not.
        """
        self._reader.stop()
        self._stopped = True
        # A signal's handler calls this, perhaps while this very thread holds the line.
        Thread(target=self._wake, daemon=True).start()

    def _wake(self) -> None:
        with self._changed:
            waiting = [*self._reading, *self._line]
            self._changed.notify_all()
        for job in waiting:
            job.pending.end(ReaderStopped())

    def _queue(self, pending: Sequence[Pending]) -> Sequence[Pending]:
        # Here, in the thread that asks: an error is its own, and others are read meanwhile.
        jobs = [self._reader.prepare(one) for one in pending]
        with self._changed:
            if self._stopped:
                raise ReaderStopped
            if self._others(pending) and len(self._line) + len(jobs) > self._most:
                raise Busy(
                    f"{len(self._line)} requests wait for the reader already: ask again a little later.",
                    _RETRY_SECONDS,
                )
            self._line += jobs
            self._changed.notify_all()
        return pending

    def _others(self, pending: Sequence[Pending]) -> bool:
        """Whether others wait: what one asks for at once does not turn itself away."""
        mine = pending[0].asker if pending else None
        return any(mine is None or job.pending.asker is not mine for job in self._line)

    def _work(self) -> None:
        while batch := self._next():
            self._read(batch)
        with self._changed:
            self._stopped = True
            left, self._line = self._line, []
        for job in left:
            job.pending.end(ReaderStopped())

    def _next(self) -> list[Job]:
        """The next batch, once somebody waits; none when the reader stops."""
        with self._changed:
            before = self._scored
            self._changed.wait_for(lambda: self._stopped or not self._scorers or self._scored > before)
            while True:
                self._forget()
                if self._stopped:
                    return []
                if self._line:
                    return self._taken(batches.oldest_first(self._line, self._reader.room))
                self._changed.wait()

    def _joining(self, reading: Sequence[Job]) -> list[Job]:
        """Who joins those that are being read."""
        if not self._line or self._scorers:
            return []  # Asked after each token: the line is taken only if there is one.
        with self._changed:
            self._forget()
            return self._taken(batches.joining(self._line, reading, self._reader.room))

    def _forget(self) -> None:
        """Leave out those whose askers have gone."""
        self._line = [job for job in self._line if job.pending.wanted]

    def _taken(self, jobs: list[Job]) -> list[Job]:
        taken = {id(job) for job in jobs}
        self._line = [job for job in self._line if id(job) not in taken]
        return jobs

    def _read(self, batch: Sequence[Job]) -> None:
        """Read a batch. If it fails, each that has said nothing yet is read once more, alone."""
        reading = self._reading = list(batch)

        def more(now: Sequence[Job]) -> list[Job]:
            joining = self._joining(now)
            reading.extend(joining)
            return joining

        try:
            self._reader.read(batch, more)
        except BaseException as error:  # noqa: BLE001  (raised again by whoever asked)
            # Its frames hold what the batch had computed: memory that those who are read alone may need.
            clear_frames(error.__traceback__)
            for job in reading:
                if len(reading) > 1 and not job.pending.begun and not isinstance(error, ReaderStopped):
                    self._alone(job)
                job.pending.end(_said(error))  # Unless it has ended meanwhile.
        finally:
            self._reading = []
        self.told([text for job in reading if (text := job.pending.whole) is not None])

    def _alone(self, job: Job) -> None:
        if job.pending.ended:
            return
        try:
            self._reader.read([self._reader.prepare(job.pending)])
        except BaseException as error:  # noqa: BLE001  (raised again by whoever asked)
            job.pending.end(_said(error))


def _said(error: BaseException) -> BaseException:
    """What is raised where it was asked: of memory that does not suffice, a sentence."""
    # PyTorch has an error of its own for a GPU's memory, and a plain one for the machine's.
    name = type(error).__name__
    if name in ("MemoryError", "OutOfMemoryError") or "can't allocate memory" in str(error):
        return Unavailable("The reader's memory does not suffice for this: shorten the prompt, or ask later.")
    return error


def together(reader: Reader) -> Reader:
    """A reader that many threads may ask at once: their requests are read together, if it can do so."""
    return BatchingReader(cast(ManyReader, reader)) if hasattr(reader, "room") else reader
