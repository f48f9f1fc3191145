"""Which passage supports a sentence of an answer, as [1], [2] behind it.

Small models do not cite reliably when asked to, so support is measured: a sentence cites the
passage that holds most of its content words, if it holds enough of them. The markers say "this
passage contains these words", no more. Markers that the model writes itself are taken out first: nobody
has checked them.

Decisions: docs/decisions/reader-and-citations.md.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from lm.sentences import CODE, sentence_end

# The share of a sentence's content words that a passage must hold to be cited for it.
SUPPORT = 0.5

_WORD = re.compile(r"\w+(?:['’]\w+)*")
# Not behind a word or a bracket: `items[0]` is code, not a marker.
_OWN_MARKER = re.compile(r"\s*(?<![\w\])])\[\d+\]")
# As `_marked` puts it.
_MARKER = re.compile(r"(?<=\S) \[(\d+)\](?=\s|$)")
_BLOCK = re.compile(rf"^{CODE}.*?(?:^{CODE}|\Z)", re.DOTALL | re.MULTILINE)
# What `conditioning.pack` puts before a passage; it would support any sentence that holds the number.
_NUMBER = re.compile(r"^\[\d+\] ")
_STOPWORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being both but by can could
    did do does doing for from had has have having he her here him his how i if in into is it its just
    know me more most my no nor not of on once only or other our out over own passage passages say says
    she should so some such than that the their them then there these they this those through to too
    under until up very was we were what when where which while who whom why will with would you your
    """.split()  # noqa: SIM905  (a hundred lines as a list)
)


def content_words(text: str) -> set[str]:
    """The words of a text that carry its meaning, lower-cased."""
    return {w for w in map(str.lower, _WORD.findall(text)) if w not in _STOPWORDS}


def supporting(sentence: str, passages: Sequence[set[str]]) -> int | None:
    """The number (from 1) of the passage that supports a sentence best, or None if none does.

    `passages` are the passages' content words; the first wins a tie.
    """
    words = content_words(sentence)
    if not words or not passages:
        return None
    shares = [len(words & passage) / len(words) for passage in passages]
    best = max(range(len(shares)), key=lambda i: (shares[i], -i))
    return best + 1 if shares[best] >= SUPPORT else None


def cite(answer: str, passages: Sequence[str]) -> str:
    """Put the number of the supporting passage behind each sentence of an answer."""
    return "".join(cite_stream([answer], passages))


def cite_stream(pieces: Iterable[str], passages: Sequence[str]) -> Iterator[str]:
    """`cite` for an answer that arrives in pieces: text goes on as soon as its sentence is whole."""
    if not passages:
        yield from pieces
        return
    words = [content_words(_NUMBER.sub("", passage)) for passage in passages]
    held = ""
    for piece in pieces:
        held += piece
        while (end := sentence_end(held)) is not None:
            yield _marked(held[:end], words)
            held = held[end:]
    while (end := sentence_end(held, whole=True)) is not None:
        yield _marked(held[:end], words)
        held = held[end:]
    if held.strip():
        yield _marked(held, words)


def _marked(sentence: str, passages: Sequence[set[str]]) -> str:
    if sentence.lstrip().startswith(("#", CODE)):
        return sentence  # A heading claims nothing, and in code a marker would be code.
    sentence = _OWN_MARKER.sub("", sentence)
    number = supporting(sentence, passages)
    if number is None:
        return sentence
    body = sentence.rstrip()
    return f"{body} [{number}]{sentence[len(body) :]}"


def cited(answer: str) -> list[int]:
    """The numbers that an answer cites, each once, in order of appearance: `items[0]` cites nothing."""
    return list(dict.fromkeys(int(n) for n in _MARKER.findall(_BLOCK.sub("", answer))))
