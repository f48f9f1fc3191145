"""What a reader is asked and what it gives: one interface for all language models.

Knows no model: whoever shows or serves answers need not import torch.

Decisions: docs/decisions/reader-and-citations.md.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from base.errors import RalmError, Unavailable
from lm.prompts import Asked, Prompt


class ReaderStopped(Unavailable):
    """A reader that has been told to stop, in the middle of an answer or before it."""

    def __init__(self, sentence: str = "The reader is being stopped: ask again when it runs.") -> None:
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to continue a prompt: greedily unless a temperature is given; `stop` ends the text.

    `without` are beginnings that the text may not have, such as "I do not know": a measure of what a reader
    that abstains would have said. White space around the text is dropped, unless it is to be `verbatim`.
    `schema` is a JSON schema, as JSON, that the text is kept to. `logprobs`: each token's log-probability is
    told, and those of so many of the likeliest in its place. `only_supported`: the text is an abstention
    unless the reader, which must have learnt to abstain, is sure enough that its passages tell.
    """

    max_tokens: int = 96
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    without: tuple[str, ...] = ()
    verbatim: bool = False
    schema: str | None = None
    logprobs: int | None = None
    only_supported: bool = False


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, its bytes, and the natural logarithm of its probability; None for a text's first."""

    id: int
    data: bytes
    logprob: float | None

    @property
    def text(self) -> str:
        """As it is written; where it begins or ends within a character, that stands replaced."""
        return self.data.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Position:
    """A token of a text, and the likeliest ones in its place, by the model itself: whatever was drawn by."""

    token: TokenLogprob
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that a text waited, that its prompt took until its first token, and that the others took."""

    queue: float
    prefill: float
    decode: float


@dataclass(frozen=True, slots=True)
class Completion:
    """A continuation. `finished` is false where it was cut off at `max_tokens`.

    `positions` are its tokens with their log-probabilities, where these were asked for. `took` is None where
    nobody knows: of a server.
    """

    text: str
    prompt_tokens: int
    tokens: int
    finished: bool
    positions: tuple[Position, ...] = ()
    took: Took | None = field(default=None, compare=False)


class TextStream:
    """Pieces of a text as they come, which are its completion's text together.

    Once they have come, `finished` is false if it was cut off, and `completion` gives the whole. Whoever
    stops reading early calls `close`: the model then stops too. `positions` grow as tokens come, if they were
    asked for.
    """

    def __init__(
        self,
        pieces: Iterator[str],
        close: Callable[[], None],
        completion: Callable[[], Completion] | None = None,
    ) -> None:
        self.pieces = pieces
        self.finished = True
        self.close = close
        self._completion = completion
        self.positions: list[Position] = []

    def completion(self) -> Completion:
        """The whole text and its tokens, once all pieces have come."""
        assert self._completion is not None  # Who makes a stream to be counted says how.
        return self._completion()

    def __iter__(self) -> Iterator[str]:
        return self.pieces


@dataclass(frozen=True, slots=True)
class Continuation:
    """A text to be scored behind what is asked. Both are tokenized as one text.

    Where both together are too long for the reader, that is an error; or, to `shorten`, the oldest tokens of
    what is asked are left out.
    """

    asked: Asked
    text: str
    shorten: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens to be scored, `text`, behind those of a `context`, which holds so many `passages`."""

    context: tuple[int, ...]
    text: tuple[int, ...]
    passages: int = 0


@dataclass(frozen=True, slots=True)
class Windows:
    """How a long text is scored: in windows of so many `tokens`, each of which goes on by a `stride`.

    Left out, a window is the reader's context, and a stride is a window: each token behind fewer of the text.
    """

    tokens: int | None = None
    stride: int | None = None

    def within(self, longest: int) -> tuple[int, int]:
        """Tokens of a window and a stride, in a reader of so many. Raises RalmError for what does not fit."""
        size = longest if self.tokens is None else self.tokens
        stride = size if self.stride is None else self.stride
        if not 1 <= size <= longest:
            raise RalmError(
                f"A window must have 1 to {longest:,} tokens, which the reader holds, not {size:,}."
            )
        if not 1 <= stride <= size:
            raise RalmError(f"A stride must have 1 to {size:,} tokens, those of its window, not {stride:,}.")
        return size, stride


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a text is.

    `tokens` are the natural logarithms of the probability of each of its tokens, given all before it.
    `greedy`: each of them is the most likely token. `size` is the text's length in bytes of UTF-8.
    `left_out` counts the tokens of what was asked that were left out to shorten it.
    """

    tokens: tuple[float, ...]
    greedy: bool
    size: int
    left_out: int = 0

    @property
    def total(self) -> float:
        """The logarithm of the whole text's probability, in nats."""
        return math.fsum(self.tokens)


def perplexity(scored: Sequence[Likelihood]) -> float:
    """Token-weighted: e to the mean of nats a token over all texts; NaN if they hold no token."""
    tokens = sum(len(one.tokens) for one in scored)
    return math.exp(-math.fsum(one.total for one in scored) / tokens) if tokens else math.nan


def bits_per_byte(scored: Sequence[Likelihood]) -> float:
    """Bits that a byte of the texts takes: comparable between tokenizers; NaN if they hold no byte."""
    size = sum(one.size for one in scored)
    return -math.fsum(one.total for one in scored) / math.log(2) / size if size else math.nan


# Windows as long as the reader's context, one behind the other.
WHOLE = Windows()


class Reader(Protocol):
    """A language model behind one interface."""

    @property
    def name(self) -> str: ...
    @property
    def quantization(self) -> str: ...

    @property
    def adapter(self) -> str | None:
        """The folder of an adapter, which prompts that hold passages are read with."""
        ...

    @property
    def measured_bytes(self) -> int | None:
        """The memory that its weights take, counted from the tensors held; None where nobody can know."""
        ...

    @property
    def context_tokens(self) -> int:
        """The most tokens of prompt and continuation together."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones."""
        ...

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model sees it: template and special ones included."""
        ...

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        """Continue each, as if it were alone. Raises RalmError for a prompt beyond the context."""
        ...

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        """Continue one, in pieces as they come. A prompt that is too long fails here."""
        ...

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked. Raises RalmError if the reader cannot score."""
        ...

    def loglikelihood_rolling(self, texts: Sequence[str], how: Windows = WHOLE) -> list[Likelihood]:
        """How likely each text is from its first token on, each token scored once."""
        ...

    def stop(self) -> None:
        """Let what is being generated end, and refuse whoever asks for more with a ReaderStopped."""
        ...


def card(reader: Reader) -> dict[str, str | int | None]:
    """What replies and reports say of a reader: it is part of every figure that rests on one."""
    return {
        "name": reader.name,
        "quantization": reader.quantization,
        "adapter": reader.adapter,
        "bytes": reader.measured_bytes,
    }


@runtime_checkable
class EchoReader(Reader, Protocol):
    """A reader that tells how likely the tokens of a prompt are."""

    def echo(self, prompts: Sequence[Prompt], top: int | None) -> list[tuple[Position, ...]]:
        """The tokens of plain prompts as they are read, each by its likelihood behind those before it.

        Beside each stand the `top` likeliest. The first has none, for nothing stands before it; with None for
        `top` no token has any.
        """
        ...


@runtime_checkable
class VocabularyReader(Reader, Protocol):
    """A reader that shows its tokens: those of a prompt, and what they say."""

    def ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens of a prompt as the model sees it: template and special ones included."""
        ...

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        ...

    def said(self, tokens: Sequence[int]) -> str:
        """The text of some tokens. Raises RalmError for one that there is not."""
        ...

    def vocabulary(self) -> Mapping[str, Any]:
        """What its tokenizer is: class, size, special tokens, chat template."""
        ...


@runtime_checkable
class TokenReader(Reader, Protocol):
    """A reader in whose own tokens contexts can be put together: its tokens are at hand."""

    @property
    def start(self) -> int:
        """The token that stands before a text's first one."""
        ...

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        ...

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        ...

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """Of each row the logarithms of the probability of each token of its text, in nats.

        Rows are running text: no adapter is attached, whatever passages stand in front.
        """
        ...
