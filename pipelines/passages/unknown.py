"""Tokens that an encoder's vocabulary does not hold: how many of them each source's passages have.

And how many passages hold little else. A text without spaces is one token, so among English ones that have a
hundred each, passages that nobody can tell apart are few tokens.

To its encoder a text of unknown tokens is like every other: dense search cannot tell them apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datastore.files.markers import Marker
from retriever.encoding.tokenizer import EncoderTokenizer

# Count the unknown tokens of a source, where it has any, and then all of its tokens.
UNKNOWN, OF = "unknown_tokens.", "source_tokens."
# The same of passages of which half of the tokens or more are unknown.
UNKNOWN_PASSAGES, OF_PASSAGES = "unknown_passages.", "source_passages."
# From this share on a source is warned of. Words that no vocabulary holds are below a thousandth of English.
_MANY = 0.03


@dataclass(frozen=True, slots=True)
class Unknown:
    """A source's tokens, those of them that the encoder does not know, and the encoder.

    And its passages, and those of them that hold mostly such tokens.
    """

    source: str
    unknown: int
    tokens: int
    encoder: str
    unknown_passages: int = 0
    passages: int = 0

    @property
    def share(self) -> float:
        return self.unknown / max(1, self.tokens)

    @property
    def share_of_passages(self) -> float:
        return self.unknown_passages / max(1, self.passages)

    @property
    def warning(self) -> str:
        """What to say of a source with many; empty for others."""
        if max(self.share, self.share_of_passages) < _MANY:
            return ""
        what = f"Of the tokens of {self.source} {self.share:.1%} are unknown"
        if self.share_of_passages > self.share:
            what = f"Of the passages of {self.source} {self.share_of_passages:.1%} hold mostly tokens unknown"
        return (
            f"{what} to the encoder {self.encoder}: dense search cannot tell such text apart. Build with one "
            "that knows its language (--encoder intfloat/multilingual-e5-small), or search it by words "
            "(--method bm25)."
        )


def counted(tokenizer: EncoderTokenizer, source: str, ids: Iterable[NDArray[np.int32]]) -> dict[str, int]:
    """The counts of some passages of a source, given by their token ids; those that are not 0."""
    each = [(tokenizer.unknown(one), len(one)) for one in ids]
    found = {
        f"{UNKNOWN}{source}": sum(unknown for unknown, _ in each),
        f"{UNKNOWN_PASSAGES}{source}": sum(2 * unknown >= length > 0 for unknown, length in each),
    }
    return {name: count for name, count in found.items() if count}


def totals(sources: Iterable[str], markers: Iterable[Marker]) -> dict[str, int]:
    """All tokens, and passages, of each source that has unknown ones; of each split source and marker."""
    found: dict[str, int] = {}
    having: set[str] = set()
    for source, marker in zip(sources, markers, strict=True):
        for part, every, what in ((UNKNOWN, OF, "tokens"), (UNKNOWN_PASSAGES, OF_PASSAGES, "passages")):
            name = f"{every}{source}"
            found[name] = found.get(name, 0) + marker.counts[what]
            if f"{part}{source}" in marker.counts:
                having.add(name)
    return {name: count for name, count in found.items() if name in having}


def unknown(counts: Mapping[str, int], encoder: str) -> list[Unknown]:
    """The sources of which unknown tokens are counted."""

    def of(source: str) -> list[int]:
        return [counts.get(f"{name}{source}", 0) for name in (UNKNOWN, OF, UNKNOWN_PASSAGES, OF_PASSAGES)]

    sources = [name.removeprefix(UNKNOWN) for name in counts if name.startswith(UNKNOWN)]
    every = ((source, of(source)) for source in sources)
    return [
        Unknown(source, tokens, all_tokens, encoder, passages, all_passages)
        for source, (tokens, all_tokens, passages, all_passages) in every
        if all_tokens
    ]
