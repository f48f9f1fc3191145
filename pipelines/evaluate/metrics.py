"""What a study scores by.

A metric is an entry of RETRIEVAL or READER: table, plot, report and files follow from it.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from datastore.schema import Passage
from lm.abstention import abstains
from pipelines.questions import Question

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation + "’‘“”")
_OF_QUESTIONS = "% of questions"


def normalize(text: str) -> str:
    """Lower-case, without punctuation, articles and extra space (Rajpurkar et al. 2016, SQuAD)."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, expected: Collection[str]) -> bool:
    """Whether the answer is one of those expected, both normalized."""
    return normalize(answer) in {normalize(one) for one in expected}


def contains(text: str, expected: Collection[str]) -> bool:
    """Whether one of the expected answers stands in the text, in whole words, both normalized."""
    padded = f" {normalize(text)} "
    return any((n := normalize(one)) and f" {n} " in padded for one in expected)


def f1(answer: str, expected: Collection[str]) -> float:
    """How much an answer has in common with the nearest of those expected, 0 to 1 (Rajpurkar et al. 2016).

    The harmonic mean of two shares: of the answer's words that are expected, and of those expected that it
    has, all normalized and each as often as it occurs.
    """
    return max((_f1(normalize(answer).split(), normalize(one).split()) for one in expected), default=0.0)


def _f1(words: Sequence[str], expected: Sequence[str]) -> float:
    shared = sum((Counter(words) & Counter(expected)).values())
    return 2 * shared / (len(words) + len(expected)) if shared else float(words == expected)


def abstention(answer: str, expected: Collection[str]) -> bool:
    """Whether an answer says that it does not know, whatever is expected."""
    return abstains(answer)


@dataclass(frozen=True, slots=True)
class RetrievalMetric:
    """A score, 0 to 1, of the first k passages that are found for a question, for each k of `depths`.

    It is taken over the questions that have what it `needs`, which stands in their `field`. `right` says
    whether a passage is right; `score` makes a number of that, best passage first. `unit` is what the plot
    says of a hundred times its mean.
    """

    name: str
    field: str
    needs: Callable[[Question], Collection[str]]
    right: Callable[[Question, Passage], bool]
    score: Callable[[Sequence[bool]], float]
    depths: tuple[int, ...] = (1, 5, 20)
    unit: str = _OF_QUESTIONS

    plotted: ClassVar[bool] = True
    # Above its panel of the plot.
    title: ClassVar[str] = "What the passages hold"

    @property
    def family(self) -> str:
        """Its name where no depth is meant, as success@k."""
        return f"{self.name}@k"

    def heading(self, k: int) -> str:
        """Its name in a table, as success@5."""
        return f"{self.name}@{k}"

    def label(self, k: int) -> str:
        """Its name in its panel of the plot."""
        return self.heading(k)


@dataclass(frozen=True, slots=True)
class ReaderMetric:
    """A score, 0 to 1, of a reader's answer by those expected; k is how many passages the reader saw.

    What is not better the higher it is, is not `plotted`: it stands in the tables alone.
    """

    of_answers: str
    score: Callable[[str, Collection[str]], float]
    unit: str = _OF_QUESTIONS
    plotted: bool = True

    title: ClassVar[str] = "What the reader answers"
    field: ClassVar[str] = "answers"
    # Where its questions are counted: all metrics of a reader have the same.
    family: ClassVar[str] = "the reader"

    @property
    def name(self) -> str:
        """Its name among those of other metrics."""
        return f"reader {self.of_answers}"

    def heading(self, k: int) -> str:
        """Its name in a table: the same for every k."""
        return self.name

    def label(self, k: int) -> str:
        """Its name in its panel of the plot."""
        return self.of_answers


Metric = RetrievalMetric | ReaderMetric


def success(right: Sequence[bool]) -> float:
    """Whether one of the passages is right. Its mean is success@k, which many papers call recall@k."""
    return float(any(right))


def _gold(question: Question) -> frozenset[str]:
    return question.gold_docs


def _answers(question: Question) -> tuple[str, ...]:
    return question.answers


def _is_gold(question: Question, passage: Passage) -> bool:
    return passage.doc_id in question.gold_docs


def _holds_answer(question: Question, passage: Passage) -> bool:
    return contains(passage.text, question.answers)


SUCCESS = RetrievalMetric("success", "gold_docs", _gold, _is_gold, success)
CONTAINMENT = RetrievalMetric("containment", "answers", _answers, _holds_answer, success)
# In the order of tables and plots.
RETRIEVAL = (SUCCESS, CONTAINMENT)
READER = (
    ReaderMetric("exact match", exact_match),
    ReaderMetric("containment", contains),
    ReaderMetric("F1", f1, unit="F1 in %"),
    ReaderMetric("abstention", abstention, plotted=False),
)
