"""How passages and questions may look: as found, without a title, a sentence alone; as they are typed.

A reader that was taught passages of one shape alone says of others that they do not tell.
"""

from collections.abc import Sequence
from random import Random

from lm.conditioning import Source
from lm.sentences import sentence_end
from pipelines.evaluate.metrics import contains

# Of lessons, so many have passages without titles; and so many have sentences of them.
_UNTITLED, _CUT = 0.1, 0.2
# Of questions, so many stand as they are typed into a search box.
_TYPED = 0.2
_SHORTEST = 4


def shaped(sources: Sequence[Source], answers: Sequence[str], random: Random) -> tuple[Source, ...]:
    """Passages as they are, without titles, or sentences of them: where one tells, that which does."""
    drawn = random.random()
    if drawn < _CUT:
        return tuple(_sentence(one, answers, random) for one in sources)
    if drawn < _CUT + _UNTITLED:
        return tuple(Source("", one.text) for one in sources)
    return tuple(sources)


def typed(question: str, random: Random) -> str:
    """A question as it is, or in small letters without its mark."""
    return question.rstrip("? ").lower() if random.random() < _TYPED else question


def sentences(text: str) -> list[str]:
    """The sentences of a text, each in one line; a last one without an end, too."""
    found, rest = [], text
    while (end := sentence_end(rest, whole=True)) is not None and end:
        found.append(rest[:end])
        rest = rest[end:]
    return [" ".join(one.split()) for one in (*found, rest) if one.strip()]


def _sentence(source: Source, answers: Sequence[str], random: Random) -> Source:
    """A sentence of a passage alone. An answer in the title alone keeps its title."""
    every = [one for one in sentences(source.text) if len(one.split()) >= _SHORTEST]
    telling = [one for one in every if contains(one, answers)]
    if not every or (not telling and contains(f"{source.title}\n{source.text}", answers)):
        return source
    return Source("", random.choice(telling or every))
