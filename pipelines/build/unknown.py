"""Tokens that an encoder's vocabulary does not hold: how many of them each source's passages have.

To its encoder a text of unknown tokens is like every other: dense search cannot tell them apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from datastore.layout import Marker

# Count the unknown tokens of a source, where it has any, and then all of its tokens.
UNKNOWN, OF = "unknown_tokens.", "source_tokens."
# From this share on a source is warned of. Words that no vocabulary holds are below a thousandth of English.
_MANY = 0.03


@dataclass(frozen=True, slots=True)
class Unknown:
    """A source's tokens, those of them that the encoder does not know, and the encoder."""

    source: str
    unknown: int
    tokens: int
    encoder: str

    @property
    def share(self) -> float:
        return self.unknown / max(1, self.tokens)

    @property
    def warning(self) -> str:
        """What to say of a source with many; empty for others."""
        if self.share < _MANY:
            return ""
        return (
            f"Of the tokens of {self.source} {self.share:.1%} are unknown to the encoder {self.encoder}: "
            "dense search cannot tell such text apart. Build with one that knows its language (--encoder "
            "intfloat/multilingual-e5-small), or search it by words (--method bm25)."
        )


def totals(sources: Iterable[str], markers: Iterable[Marker]) -> dict[str, int]:
    """All tokens of each source that has unknown ones; a source's name and a marker for each split."""
    found: dict[str, int] = {}
    having: set[str] = set()
    for source, marker in zip(sources, markers, strict=True):
        found[source] = found.get(source, 0) + marker.counts["tokens"]
        if f"{UNKNOWN}{source}" in marker.counts:
            having.add(source)
    return {f"{OF}{source}": tokens for source, tokens in found.items() if source in having}


def unknown(counts: Mapping[str, int], encoder: str) -> list[Unknown]:
    """The sources of which unknown tokens are counted."""
    names = [name.removeprefix(UNKNOWN) for name in counts if name.startswith(UNKNOWN)]
    every = (Unknown(name, counts[UNKNOWN + name], counts.get(OF + name, 0), encoder) for name in names)
    return [one for one in every if one.tokens]
