"""How far a passage supports a sentence of an answer: by words in common, and by what it does to the reader.

The gain of a passage p is how much likelier the reader finds a sentence s with it than without, behind the
question q and what the answer says before, in bits a token:

    gain(s, p) = (log2 P(s | p, q, before) - log2 P(s | q, before)) / tokens of s

Knows neither models nor stores.

Decisions: docs/decisions/reader-and-citations.md.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from base.errors import RalmError
from lm.citations import Citer
from lm.prompts import Prompt
from lm.reader import Continuation, Likelihood, Reader, ReaderStopped

# The prompt that holds these passages, and nothing else that depends on them.
Write = Callable[[Sequence[str]], Prompt]


@dataclass(frozen=True, slots=True)
class Support:
    """How far a passage supports a sentence.

    `words`: the share of its content words that the passage holds. `gain`: by how many bits a token the
    passage makes it likelier; None where the reader cannot tell.
    """

    sentence: str
    words: float
    gain: float | None


def support_of(
    citer: Citer, packed: Sequence[str], write: Write, reader: Reader
) -> list[tuple[Support, ...]]:
    """For each packed passage, how far it supports each sentence of an answer that has been cited.

    The reader scores the answer behind each passage alone, and behind none. If it cannot, gains are None.
    """
    gains = _gains(citer, packed, write, reader) if citer.claims else []
    return [
        tuple(
            Support(claim.text, claim.shares[at], gains[at][n] if gains else None)
            for n, claim in enumerate(citer.claims)
        )
        for at in range(len(packed))
    ]


def _gains(citer: Citer, packed: Sequence[str], write: Write, reader: Reader) -> list[list[float]]:
    """Bits a token, [passages, sentences]; none if the reader cannot score, or counts tokens otherwise."""
    # An empty passage, not none: instruction and adapter stay, so that the passage alone makes the gain.
    prompts = [write([passage]) for passage in ("", *packed)]
    try:
        scored = reader.loglikelihood([Continuation(prompt, citer.answer) for prompt in prompts])
        spans = _spans(reader, citer, len(scored[0].tokens))
    except ReaderStopped:
        raise
    except RalmError:
        return []
    without, *each = ([_bits(one, span) for span in spans] for one in scored)
    return [[there - bare for there, bare in zip(row, without, strict=True)] for row in each] if spans else []


def _spans(reader: Reader, citer: Citer, tokens: int) -> list[tuple[int, int]]:
    """Which of an answer's tokens each of its sentences takes; none if the reader's count is another."""
    answer, claims = citer.answer, citer.claims
    if len(claims) == 1 and claims[0].start == 0 and claims[0].end == len(answer):
        return [(0, tokens)]
    if reader.count_tokens(answer) != tokens:
        return []
    # Of a sentence whose end changes the tokens before it, at least the last token.
    begins = [min(reader.count_tokens(answer[: claim.start]), tokens - 1) for claim in claims]
    ends = [reader.count_tokens(answer[: claim.end]) for claim in claims]
    return [(begin, max(end, begin + 1)) for begin, end in zip(begins, ends, strict=True)]


def _bits(scored: Likelihood, span: tuple[int, int]) -> float:
    found = scored.tokens[slice(*span)]
    return math.fsum(found) / math.log(2) / len(found)
