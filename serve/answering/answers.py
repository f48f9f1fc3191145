"""What answers are made of: a question that is ready to be read, and what comes of it. Knows no HTTP."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lm.citations import Citer, Mark
from lm.conditioning import Conditioned
from lm.conditioning.shots import DO_NOT_KNOW
from lm.prompts import Asked, ToolCall, prompts_of
from lm.reader import Completion, Position, Sampling, TextStream
from lm.support import Support, Write
from lm.tool_calls import ToolCalls
from retriever.request import Search
from retriever.results import Hit
from serve.answering.inquiry import ONE_PARAGRAPH

# Of a question that nothing was found for, where only what passages support is to be said.
UNSUPPORTED = Completion(DO_NOT_KNOW, 0, 0, True)


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that was put before the reader under a number; `cited` if the answer cites it.

    `read` is what the reader saw of it, where that is more or less than its text: it was widened, or cut.
    `support`, where it was measured, is how far it supports each sentence of the answer.
    """

    number: int
    cited: bool
    hit: Hit
    read: str | None = None
    support: tuple[Support, ...] | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """What was searched for, where, and how: the hash names the manifest, or those of several stores."""

    query: str
    manifest: str
    search: Search


@dataclass(frozen=True)
class Prepared:
    """A question with its passages found and its prompt written: what is left is to read.

    `write` writes the prompt of the same question and other passages. `searched` is None where nothing was.
    `found` are all hits, in their order; `markers` says whether some are put behind sentences.
    """

    conditioned: Conditioned
    hits: tuple[Hit, ...]
    write: Write
    sampling: Sampling = ONE_PARAGRAPH
    seconds: dict[str, float] = field(default_factory=dict)
    missing: tuple[int, ...] = ()
    searched: Searched | None = None
    found: tuple[Hit, ...] = ()
    markers: bool = True

    @property
    def asked(self) -> Asked:
        """What the reader is asked."""
        return self.conditioned.asked

    @property
    def calls_tools(self) -> bool:
        """Whether the reader may call tools."""
        return any(prompt.tools for prompt in prompts_of(self.asked))

    @property
    def unsupported(self) -> bool:
        """Whether there is no passage, and only what passages support is to be said: nobody reads."""
        return self.sampling.only_supported and not self.packed

    @property
    def packed(self) -> tuple[str, ...]:
        """The passages that it sees, numbered from 1; `hits` are those that they stand for."""
        return self.conditioned.packed


@dataclass(frozen=True)
class Answer:
    """An answer with its markers, the passages the reader saw, what it took, and shards that gave none.

    `trimmed` of the passages that were found are cut or left out, as they had no room. `marks` are the places
    of the text where passages are cited, `calls` what tools are to do.
    """

    text: str
    citations: tuple[Citation, ...]
    completion: Completion
    seconds: dict[str, float]
    missing: tuple[int, ...] = ()
    trimmed: int = 0
    marks: tuple[Mark, ...] = ()
    calls: tuple[ToolCall, ...] = ()


class CitedStream:
    """A cited answer in pieces as they come; `citer` knows its sentences so far. Else as a TextStream."""

    def __init__(self, stream: TextStream, citer: Citer, calls_tools: bool = False) -> None:
        self._stream, self.citer = stream, citer
        self._calls = ToolCalls() if calls_tools else None
        # Set by whoever wants no more of it.
        self.closed = False

    def __iter__(self) -> Iterator[str]:
        pieces = iter(self._stream)
        return self.citer.stream(pieces if self._calls is None else self._calls.without(pieces))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """What tools are to do, once all has come."""
        return () if self._calls is None else self._calls.calls

    @property
    def finished(self) -> bool:
        return self._stream.finished

    @property
    def positions(self) -> list[Position]:
        """The tokens so far, if their log-probabilities are asked for."""
        return self._stream.positions

    def completion(self) -> Completion:
        """What the reader wrote, once all has come."""
        return self._stream.completion()

    def close(self) -> None:
        """Let the reader stop."""
        self.closed = True
        self._stream.close()


def unsupported() -> TextStream:
    """`UNSUPPORTED` as a stream."""
    return TextStream(iter([UNSUPPORTED.text]), lambda: None, lambda: UNSUPPORTED)


def close_all(streams: Iterable[CitedStream]) -> None:
    """Let the reader stop with all of them."""
    for one in streams:
        one.close()
