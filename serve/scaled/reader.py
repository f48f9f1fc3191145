"""The reader as a deployment: prompts there, pieces of texts back as they come.

Decisions: docs/decisions/scaling-out.md.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

from tokenizers import Tokenizer

from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.batching import together
from lm.pending import Pending
from lm.prompts import Asked, Prompt
from lm.reader import (
    WHOLE,
    Completion,
    Continuation,
    Likelihood,
    Position,
    ReaderStopped,
    Sampling,
    TextStream,
    Windows,
)
from serve.queues.reading import Reading
from serve.scaled.calls import Calls


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of a text, and the tokens since the last one, behind `known` ones. The first is empty: read."""

    text: str = ""
    positions: tuple[Position, ...] = ()
    known: int = 0


class ReaderReplica:
    """What runs in a replica: a reader that reads together what waits together."""

    def __init__(self, choice: ReaderChoice) -> None:
        self._reader = together(open_reader(choice))
        self._reading = Reading()
        self._writing = 0

    def writing(self) -> int:
        """Texts that are being written, or wait to be."""
        return self._writing

    def card(self) -> dict[str, Any]:
        """What does not change of it."""
        names = ("name", "quantization", "adapter", "measured_bytes", "context_tokens")
        return {name: getattr(self._reader, name) for name in names}

    def tokenizer(self) -> str | None:
        """Its tokenizer, for who counts tokens elsewhere; None for one that cannot be handed on."""
        found: str | None = getattr(self._reader, "tokenizer_json", None)
        return found

    async def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the reader gives."""
        return await self._reading.run(getattr(self._reader, method), *arguments)

    async def write(self, asked: Asked, sampling: Sampling) -> AsyncIterator[Said | Completion]:
        """Continue one prompt: pieces as they come, and the whole at the end."""
        stream = await self._reading.run(self._reader.stream, asked, sampling)
        self._writing += 1
        try:
            yield Said()
            known = 0
            async for text in self._reading.each(stream):
                positions = tuple(stream.positions[known:])
                yield Said(text, positions, known)
                known += len(positions)
            yield stream.completion()
        finally:
            self._writing -= 1
            stream.close()


class DeployedReader:
    """A reader whose model lies with a deployment. Any number of threads may ask it at once."""

    name: str
    quantization: str
    adapter: str | None
    measured_bytes: int | None
    context_tokens: int

    def __init__(self, calls: Calls) -> None:
        """Wait until it is there."""
        self._calls, self._stopped = calls, False
        self._asked: set[Pending] = set()
        # Told of each text, once it is whole.
        self.told: Callable[[Sequence[Completion]], None] = lambda _: None
        for name, value in calls.ask("card").items():
            setattr(self, name, value)
        self._tokenizer = _tokenizer(calls.ask("tokenizer"))
        # Here texts are followed, each by a task.
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="reader", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Texts that nothing has come of yet."""
        return sum(not one.begun for one in tuple(self._asked))

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._calls.ask("ask", method, *arguments)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones: they are counted here, for a prompt many times."""
        if self._tokenizer is None:
            return int(self._ask("count_tokens", text))
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model sees it."""
        return int(self._ask("prompt_tokens", prompt))

    def ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens of a prompt as the model sees it."""
        return tuple(self._ask("ids", prompt))

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        return tuple(self._ask("tokens", text))

    def said(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return str(self._ask("said", tokens))

    def vocabulary(self) -> Mapping[str, Any]:
        """What its tokenizer is."""
        found: Mapping[str, Any] = self._ask("vocabulary")
        return found

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked."""
        return list(self._ask("loglikelihood", continuations))

    def loglikelihood_rolling(self, texts: Sequence[str], how: Windows = WHOLE) -> list[Likelihood]:
        """How likely each text is from its first token on."""
        return list(self._ask("loglikelihood_rolling", texts, how))

    def echo(self, prompts: Sequence[Prompt], top: int | None) -> list[tuple[Position, ...]]:
        """The tokens of plain prompts, each by its likelihood behind those before it."""
        return list(self._ask("echo", prompts, top))

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        """Continue several prompts, each in whichever replica is free."""
        pending = [Pending(one, sampling) for one in asked]
        for one in pending:
            self._begin(one)
        return [one.completion() for one in pending]

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        """Continue one prompt, in pieces as they come. A prompt that is too long fails here."""
        pending = Pending(asked, sampling)
        self._begin(pending).result()
        return pending.stream()

    def stop(self) -> None:
        """Refuse whoever asks for more."""
        self._stopped = True

    def _begin(self, pending: Pending) -> "Future[None]":
        """Let a text be written. What comes back is done once it is read, and raises if it is refused."""
        if self._stopped:
            raise ReaderStopped
        taken: Future[None] = Future()
        following = asyncio.run_coroutine_threadsafe(self._follow(pending, taken), self._loop)
        pending.left = following.cancel
        if not pending.wanted:
            following.cancel()
        return taken

    async def _follow(self, pending: Pending, taken: "Future[None]") -> None:
        """Put into a request what a replica writes for it."""
        error: BaseException = ReaderStopped("Whoever asked for this text has gone.")
        pieces = self._calls.pieces("write", pending.asked, pending.sampling, begun=lambda: pending.begun)
        self._asked.add(pending)
        try:
            async for piece in pieces:
                if not taken.done():
                    taken.set_result(None)
                if isinstance(piece, Said):
                    # A second replica tells those again that a lost one has told.
                    pending.positions[piece.known :] = piece.positions
                    pending.put(piece.text)
                else:
                    pending.positions.extend(piece.positions[len(pending.positions) :])
                    pending.end(piece)
                    self.told([piece])
        except Exception as failed:  # noqa: BLE001  (raised again by whoever asked)
            error = failed
        finally:
            self._asked.discard(pending)
            await pieces.aclose()
            pending.end(error)  # Unless it has ended.
            if not taken.done():
                taken.set_exception(error)


def _tokenizer(text: str | None) -> Tokenizer | None:
    """A tokenizer of its JSON, which cuts nothing."""
    if text is None:
        return None
    found = Tokenizer.from_str(text)
    found.no_truncation()
    found.no_padding()
    return found
