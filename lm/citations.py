"""Which passage supports a sentence of an answer, as [1], [2] behind it.

Small models do not cite reliably when asked to, so support is measured: a sentence cites the
passage that holds most of its content words, if it holds enough of them, and all its numbers and
names (`lm/facts.py`). The markers say "this passage contains these words", no more; `lm/support.py`
measures what the passage does to the reader. Markers that the model writes itself are taken out first.

Decisions: docs/decisions/reader-and-citations.md, serving.md.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lm.abstention import abstains
from lm.facts import Facts, Source
from lm.markers import without_markers
from lm.sentences import CODE, sentence_end, settled
from lm.words import content_words, words

# The share of a sentence's content words that a passage must hold to be cited for it.
SUPPORT = 0.5
# And so many of them, if it has so many: half of a name is another name.
LEAST_WORDS = 2

# What a marker of the LM's own may begin with, and what makes it code.
_MAY_CHANGE = re.compile(r"[\[【(<`¹²³⁴-⁹]")
_HEADING = re.compile(r"\s*#{1,6}[ \t]")
# What `conditioning.pack` puts before a passage; it would support any sentence that holds the number.
_NUMBER = re.compile(r"^\[\d+\] ")


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of an answer, without markers. `start` and `end` are its characters as the LM wrote it.

    `shares` [passages]: the share of its content words that each passage holds. `passage` is the number of
    the one that it cites, from 1; None if none holds enough, and its numbers and names.
    """

    text: str
    start: int
    end: int
    shares: tuple[float, ...]
    passage: int | None


@dataclass(frozen=True, slots=True)
class Mark:
    """At which character of the text that is given a passage is cited: its marker stands there, or would."""

    at: int
    passage: int


# What becomes of markers: the LM's own are taken out, and ours put in, or none; or the text stays as it is.
Markers = Literal["ours", "none", "untouched"]


class Citer:
    """Cites one answer, from the passages that it was read from.

    `answer` is what the LM has written so far, `claims` are the sentences of it that claim something, and
    `marks` are the places where passages are cited.
    """

    def __init__(self, passages: Sequence[str], markers: Markers = "ours") -> None:
        """`passages` as the reader saw them, numbered from 1."""
        self.answer = ""
        self._markers = markers
        self._given = 0
        self.claims: list[Claim] = []
        self.marks: list[Mark] = []
        self._texts = [_NUMBER.sub("", passage) for passage in passages]
        self._passages = [_Passage(text) for text in self._texts]
        self._in_table = False

    def cite(self, answer: str) -> str:
        """Put the number of the supporting passage behind each sentence of an answer."""
        return "".join(self.stream([answer]))

    def stream(self, pieces: Iterable[str]) -> Iterator[str]:
        """`cite` for an answer that comes in pieces: text goes on as it comes, its marker when it is whole.

        What may yet be taken out, or moved, waits for the end of its sentence: what looks like a marker, and
        white space.
        """
        if not self._passages:
            yield from pieces
        elif self._markers != "untouched":
            yield from self._with_markers(pieces)
        else:
            given: list[str] = []
            for piece in pieces:
                given.append(piece)
                yield piece
            for _ in self._with_markers(["".join(given)]):
                pass  # What it claims is noted.

    def _with_markers(self, pieces: Iterable[str]) -> Iterator[str]:
        held, sent = "", 0
        for piece in pieces:
            held += piece
            while (end := sentence_end(held)) is not None:
                if rest := self._marked(held[:end])[sent:]:
                    yield rest
                held, sent = held[end:], 0
            if (ready := _ready(held)) > sent:
                yield held[sent:ready]
                sent = ready
        while (end := sentence_end(held, whole=True)) is not None:
            if rest := self._marked(held[:end])[sent:]:
                yield rest
            held, sent = held[end:], 0
        if held.strip() and (rest := self._marked(held)[sent:]):
            yield rest

    def _marked(self, sentence: str) -> str:
        shown = self._shown(sentence)
        self._given += len(shown)
        return shown

    def _shown(self, sentence: str) -> str:
        start, self.answer = len(self.answer), self.answer + sentence
        begun = sentence.lstrip()
        row, goes_on = begun.startswith("|"), self._in_table
        self._in_table = row or (self._in_table and not begun)
        # A heading claims nothing, and in code a marker would be code.
        if begun.startswith(CODE) or _HEADING.match(sentence):
            return sentence
        sentence = without_markers(sentence, self._texts)
        if row and not goes_on:
            return sentence  # The first row of a table is its heading.
        claim = self._claim(sentence, start)
        if claim is None:
            return sentence
        self.claims.append(claim)
        if claim.passage is None:
            return sentence
        body = sentence.rstrip()
        if row and body.endswith("|"):
            body = body[:-1].rstrip()  # Within the last cell: behind it would be another one.
        at = claim.end if self._markers == "untouched" else self._given + len(body)
        self.marks.append(Mark(at, claim.passage))
        if self._markers == "none":
            return sentence
        return f"{body} [{claim.passage}]{sentence[len(body) :]}"

    def _claim(self, sentence: str, start: int) -> Claim | None:
        """What a sentence claims; None if that is nothing, as of a sentence that says that nobody knows."""
        content = content_words(sentence)
        if not content or abstains(sentence):
            return None
        shares = tuple(len(content & passage.content) / len(content) for passage in self._passages)
        run = _run(sentence)
        enough = max(SUPPORT * len(content), min(LEAST_WORDS, len(content)))
        facts = Facts(sentence)
        able = [
            at
            for at, (share, passage) in enumerate(zip(shares, self._passages, strict=True))
            if share * len(content) >= enough and facts.stand_in(passage.source)
        ]
        # The first that holds it word for word wins a tie.
        best = max(able, key=lambda i: (shares[i], run in self._passages[i].run, -i), default=None)
        number = None if best is None else best + 1
        return Claim(" ".join(sentence.split()), start, len(self.answer), shares, number)


def _ready(sentence: str) -> int:
    """How much of the beginning of a sentence stays as it is, whatever follows."""
    begun = sentence.lstrip()
    if begun.startswith(CODE):
        return len(sentence)
    if begun.startswith("|"):
        return 0  # Of a table's row the marker stands within the last cell.
    mine = sentence[: settled(sentence)]
    changes = _MAY_CHANGE.search(mine)
    return len(mine[: changes.start() if changes else None].rstrip())


class _Passage:
    """A passage's words: those that carry meaning, and all in a row."""

    def __init__(self, text: str) -> None:
        self.content = content_words(text)
        self.run = _run(text)
        self.source = Source(text)


def _run(text: str) -> str:
    return f" {' '.join(words(text))} "


def cited(claims: Iterable[Claim]) -> set[int]:
    """The numbers of the passages that an answer's sentences cite."""
    return {claim.passage for claim in claims if claim.passage is not None}
