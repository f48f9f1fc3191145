"""What a reader answers, as scores: of the text that it gives, and of how likely it finds the right one.

Decisions: docs/decisions/measuring.md.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lm.prompts import Asked, prompts_of
from lm.reader import Continuation, Reader
from pipelines.evaluate.metrics.texts import abstention, contains, exact_match, f1
from pipelines.questions import Question


@dataclass(frozen=True, slots=True)
class ReaderMetric:
    """A score, 0 to 1, of a reader's answer by those expected; k is how many passages the reader saw.

    What is not better the higher it is, is not `plotted`: it stands in the tables alone.
    """

    of_answers: str
    score: Callable[[str, Collection[str]], float]
    unit: str = "% of questions"
    plotted: bool = True

    title: ClassVar[str] = "What the reader answers"
    field: ClassVar[str] = "answers"
    # Where its questions are counted: all metrics of a reader have the same.
    family: ClassVar[str] = "the reader"

    @property
    def name(self) -> str:
        """Its name among those of other metrics."""
        return f"reader {self.of_answers}"

    @property
    def better(self) -> str:
        """Which way is better: "higher", "lower", or "" for neither."""
        return "higher" if self.plotted else ""

    def needs(self, question: Question) -> Collection[str]:
        """What a question is scored by."""
        return question.answers

    def heading(self, k: int) -> str:
        """Its name in a table: the same for every k."""
        return self.name

    def label(self, k: int) -> str:
        """Its name in its panel of the plot."""
        return self.of_answers


READER = (
    ReaderMetric("exact match", exact_match),
    ReaderMetric("containment", contains),
    ReaderMetric("F1", f1, unit="F1 in %"),
    ReaderMetric("abstention", abstention, plotted=False),
)


@dataclass(frozen=True, slots=True)
class LikelihoodMetric:
    """A score of how likely a reader finds texts behind what it is asked: of questions with a `field`."""

    name: str
    field: str
    unit: str
    better: str
    needs: Callable[[Question], Collection[str]]
    of: Callable[[Reader, Sequence[Asked], Sequence[Question]], list[float]]

    def values(
        self, reader: Reader, asked: Sequence[Asked], questions: Sequence[Question]
    ) -> NDArray[np.float64]:
        """The score of each question [n], which is `asked` so."""
        return np.array(self.of(reader, asked, questions), np.float64)


def bits(nats: float) -> float:
    """The bits that a text takes, of the logarithm of its probability in nats."""
    return -nats / math.log(2)


def bits_per_answer(
    reader: Reader, asked: Sequence[Asked], answers: Sequence[Collection[str]]
) -> list[float]:
    """The bits that the right answer takes behind each of several prompts: those of its likeliest alias.

    Raises RalmError for a reader that cannot score, and for what it cannot hold.
    """
    return [bits(max(one)) for one in _nats(reader, asked, [list(dict.fromkeys(one)) for one in answers])]


def likeliest(reader: Reader, asked: Sequence[Asked], choices: Sequence[Sequence[str]]) -> list[int]:
    """The number of the choice that a reader finds likeliest behind each of several prompts."""
    return [int(np.argmax(one)) for one in _nats(reader, asked, choices)]


def _nats(reader: Reader, asked: Sequence[Asked], texts: Sequence[Sequence[str]]) -> list[list[float]]:
    """The logarithm of the probability of each text behind each prompt."""
    continuations = [
        Continuation(one, behind(one, text)) for one, some in zip(asked, texts, strict=True) for text in some
    ]
    scored = iter(reader.loglikelihood(continuations))
    return [[next(scored).total for _ in some] for some in texts]


def behind(asked: Asked, text: str) -> str:
    """A text as it goes on with what is asked: behind plain text with a space, as readers write it."""
    plain = prompts_of(asked)[0].text
    return text if not plain or plain[-1].isspace() else f" {text}"


def _bits(reader: Reader, asked: Sequence[Asked], questions: Sequence[Question]) -> list[float]:
    return bits_per_answer(reader, asked, [one.answers for one in questions])


def _accuracy(reader: Reader, asked: Sequence[Asked], questions: Sequence[Question]) -> list[float]:
    chosen = likeliest(reader, asked, [one.choices for one in questions])
    return [float(choice == one.chosen) for choice, one in zip(chosen, questions, strict=True)]


def _answers(question: Question) -> tuple[str, ...]:
    return question.answers


def _choices(question: Question) -> tuple[str, ...]:
    return question.choices


BITS = LikelihoodMetric("bits per answer", "answers", "bits", "lower", _answers, _bits)
ACCURACY = LikelihoodMetric("reader accuracy", "choices", "% of questions", "higher", _choices, _accuracy)
LIKELIHOODS = (BITS, ACCURACY)
