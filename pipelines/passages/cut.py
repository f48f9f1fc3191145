"""A document's text to chunks, counted in the encoder's own tokens and cut at sentence ends.

A build and a plan cut by `Cutter.chunks` alone: another way of chunking is a function here that it chooses.
Knows nothing of the stage that makes passages of chunks (`chunk.py`).

Decisions: docs/decisions/passages.md.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipelines.config import BuildConfig
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.tokenizer import EncoderTokenizer, Tokens
from retriever.encoding.usage import AS_STATED, Usage

# A sentence ends at . ! ? (or the ideographic ones), with closing quotes or brackets, before
# white space; or at a line's end.
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s)|[。！？]|\n")
# Tokenizers hold some 100 bytes a character while they work; long documents go piece by piece.
_PIECE_CHARACTERS = 200_000
# No passage is longer than so many times the tokens it may have, but for passages of few tokens.
_CHARACTERS_A_TOKEN = 50
_LEAST_BOUND = 2_000


@lru_cache(maxsize=2)
def load_tokenizer(encoder: str, usage: Usage = AS_STATED) -> EncoderTokenizer:
    """The tokenizer of an encoder, loaded once in each process."""
    return EncoderTokenizer(Checkpoint.find(encoder, usage))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch [start, end) of a text, in characters, and its token ids."""

    start: int
    end: int
    ids: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cuts documents as a configuration says. Of a room's tokens its encoder takes no more."""

    config: BuildConfig
    tokenizer: EncoderTokenizer
    room: int

    @classmethod
    def of(cls, config: BuildConfig, usage: Usage = AS_STATED) -> "Cutter":
        """With the tokenizer of the configuration's encoder, as that is used."""
        tokenizer = load_tokenizer(config.encoder, usage)
        return cls(config, tokenizer, tokenizer.room("passage"))

    def chunks(self, text: str) -> Iterator[Chunk]:
        """Cut a text into chunks of at most as many tokens as is asked for."""
        return chunk(text, self.tokenizer, min(self.room, self.config.chunk_tokens or self.room))


def pieces(text: str, limit: int = _PIECE_CHARACTERS) -> Iterator[tuple[int, int]]:
    """Cut a text into stretches of at most `limit` characters, at white space where there is any."""
    begin = 0
    while len(text) - begin > limit:
        newline = text.rfind("\n", begin + limit // 2, begin + limit)
        space = newline if newline >= 0 else text.rfind(" ", begin + limit // 2, begin + limit)
        end = space + 1 if space >= 0 else begin + limit
        yield begin, end
        begin = end
    yield begin, len(text)


def cuts(text: str, tokens: Tokens, room: int) -> list[int]:
    """Where chunks of at most `room` tokens begin: token positions, the number of tokens last.

    A chunk ends at a sentence's end if one lies in its second half, else before a word, else
    (one word longer than a chunk) anywhere.
    """
    ends = np.array([m.end() for m in _SENTENCE_END.finditer(text)], np.int64)
    # Token i begins a sentence if a sentence ended between the start of token i-1 and its own.
    begins = np.zeros(len(tokens.ids) + 1, bool)
    begins[np.searchsorted(tokens.starts, ends)] = True
    found, at, total = [0], 0, len(tokens.ids)
    while total - at > room:
        window = slice(at + 1 + room // 2, at + room + 1)
        for marks in (begins[window], tokens.word_starts[window]):
            if (last := np.flatnonzero(marks)).size:
                at += 1 + room // 2 + int(last[-1])
                break
        else:
            at += room
        found.append(at)
    return [*found, total]


def longest_text(room: int) -> int:
    """The most characters of a passage of at most `room` tokens: ordinary ones have a tenth of it."""
    return max(_LEAST_BOUND, _CHARACTERS_A_TOKEN * room)


def chunk(text: str, tokenizer: EncoderTokenizer, room: int) -> Iterator[Chunk]:
    """Cut a text into chunks of at most `room` tokens; together they hold every token of it.

    A token may be of any length (a million letters without a space are one unknown word): a chunk of more
    than `longest_text(room)` characters is cut again, and each piece tokenized by itself.
    """
    spans, longest = list(pieces(text)), longest_text(room)
    for one in _chunks(text, spans, tokenizer, room):
        if one.end - one.start <= longest:
            yield one
            continue
        parts = [(one.start + b, one.start + e) for b, e in pieces(text[one.start : one.end], longest)]
        yield from _chunks(text, parts, tokenizer, room)


def _chunks(
    text: str, spans: Sequence[tuple[int, int]], tokenizer: EncoderTokenizer, room: int
) -> Iterator[Chunk]:
    """The chunks of some stretches of a text, each tokenized by itself."""
    for (begin, end), tokens in zip(spans, tokenizer.tokenize([text[b:e] for b, e in spans]), strict=True):
        bounds = cuts(text[begin:end], tokens, room)
        for first, last in pairwise(bounds):
            if first == last:
                continue
            # Up to the next chunk's first token: what a tokenizer drops stays in the text.
            stop = end if last == len(tokens.ids) else begin + int(tokens.starts[last])
            yield _stripped(text, begin + int(tokens.starts[first]), stop, tokens.ids[first:last])


def _stripped(text: str, start: int, end: int, ids: NDArray[np.int32]) -> Chunk:
    body = text[start:end]
    start += len(body) - len(body.lstrip())
    return Chunk(start, start + len(body.strip()), ids)
