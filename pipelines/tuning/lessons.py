"""What a question and the passages found for it teach: an answer that they hold, or that they hold none.

The passages stand as the server puts them before a reader. Lessons of one question differ in their passages:
as found; with one that holds the answer at any rank; without such ones, whatever is near; of other questions.

Decisions: docs/decisions/tuning.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from lm.sentences import sentence_end
from lm.tuning.example import ABSTENTION, Example
from pipelines.evaluate.metrics import contains, normalize
from pipelines.questions import Question
from retriever.results import Hit
from serve.answering.answerer import source_of

# As `ralm ask` and chat take 3, most lessons do.
_COUNTS = (1, 2, 3, 3, 3, 3, 4, 5)
# Of lessons without an answer in their passages, so many of a question's near ones, and of others'.
_NEAR, _FOREIGN = 0.6, 0.25
_IN_A_SENTENCE = 0.15
_LONGEST_SENTENCE = 60
_SENTENCE = " Answer in a full sentence."


@dataclass(frozen=True, slots=True)
class QuestionHits:
    """A question and what was found for it, best first."""

    question: Question
    hits: tuple[Hit, ...]


def lessons(asked: QuestionHits, others: Sequence[QuestionHits], random: Random) -> list[Example]:
    """Examples of a question. `others` are those whose passages are taken as having nothing to do with it."""
    if asked.question.chosen is not None:
        return [_chosen(asked.question, asked.question.chosen, asked.hits, random)]
    if not asked.question.answers or not asked.hits:
        return []
    holding = [hit for hit in asked.hits if _holds(asked.question, hit)]
    lacking = [hit for hit in asked.hits if not _holds(asked.question, hit)]
    count = random.choice(_COUNTS)
    found = [_lesson("found", asked.question, asked.hits[:count], random)]
    if holding:
        found.append(_lesson("placed", asked.question, _placed(holding[0], lacking, random), random))
    if random.random() < _NEAR:
        found.append(_lesson("near", asked.question, lacking[: random.choice(_COUNTS)], random))
    if others and random.random() < _FOREIGN:
        some_others = random.sample(others, min(5, len(others)))
        foreign = [hit for other in some_others if other is not asked for hit in other.hits[:1]]
        some = [hit for hit in foreign if not _holds(asked.question, hit)][: random.choice(_COUNTS)]
        foreign_one = _lesson("foreign", asked.question, some, random)
        found.append(replace(foreign_one, expected=asked.question.answers))
    return [one for one in found if one.sources]


def balanced(examples: Sequence[Example], share: float, random: Random) -> list[Example]:
    """As many abstentions at most as are a `share` of all, drawn at random: else a reader learns to abstain
    whenever a question looks like those that a store seldom answers.
    """
    abstaining = [at for at, one in enumerate(examples) if one.answer == ABSTENTION]
    most = round(share / (1 - share) * (len(examples) - len(abstaining)))
    left_out = set(random.sample(abstaining, max(0, len(abstaining) - most)))
    return [one for at, one in enumerate(examples) if at not in left_out]


def _placed(holding: Hit, lacking: Sequence[Hit], random: Random) -> list[Hit]:
    """A passage that holds the answer at any rank among those that do not."""
    some = list(lacking[: random.choice(_COUNTS) - 1])
    some.insert(random.randint(0, len(some)), holding)
    return some


def _holds(question: Question, hit: Hit) -> bool:
    return contains(hit.passage.text, question.answers)


def _lesson(kind: str, question: Question, hits: Sequence[Hit], random: Random) -> Example:
    sources = tuple(map(source_of, hits))
    holding = next((hit for hit in hits if _holds(question, hit)), None)
    if holding is None:
        return Example(question.text, sources, ABSTENTION, f"{kind}, unanswered")
    if random.random() < _IN_A_SENTENCE and (said := sentence_with(holding.passage.text, question)):
        return Example(question.text + _SENTENCE, sources, said, f"{kind}, in a sentence")
    return Example(question.text, sources, _told(question, holding), f"{kind}, answered")


def _told(question: Question, holding: Hit) -> str:
    """The first of the expected answers that the passage holds."""
    return next(
        (one for one in question.answers if contains(holding.passage.text, [one])), question.answers[0]
    )


def sentence_with(text: str, question: Question) -> str | None:
    """The sentence of a passage that holds an answer, if it is whole and not long."""
    rest = text
    while (end := sentence_end(rest, whole=True)) is not None and end:
        sentence, rest = " ".join(rest[:end].split()), rest[end:]
        if contains(sentence, question.answers):
            whole = sentence[:1].isupper() and sentence.endswith((".", "!", "?"))
            return sentence if whole and len(sentence.split()) <= _LONGEST_SENTENCE else None
    return None


def _chosen(question: Question, chosen: int, hits: Sequence[Hit], random: Random) -> Example:
    """One of several choices: named in the question, and answered whether or not the passages help."""
    letters = "ABCDEFGHIJ"
    listed = "\n".join(f"{letter}. {one}" for letter, one in zip(letters, question.choices, strict=False))
    sources = tuple(map(source_of, hits[: random.choice(_COUNTS)]))
    return Example(f"{question.text}\n{listed}", sources, question.choices[chosen], "choice")


def title_lesson(title: str, asked: QuestionHits, random: Random) -> Example | None:
    """What a document's title is, in its own first sentence; None if that says nothing of the title."""
    own = next((hit for hit in asked.hits if hit.passage.chunk == 0 and _titled(hit, title)), None)
    if own is None:
        return None
    text = own.passage.text
    end = sentence_end(text, whole=True)
    sentence = " ".join(text[: end or 0].split())
    words = len(sentence.split())
    if not 6 <= words <= _LONGEST_SENTENCE or not sentence.endswith("."):
        return None
    others = [hit for hit in asked.hits if hit is not own]
    hits = _placed(own, others, random)
    return Example(asked.question.text, tuple(map(source_of, hits)), sentence, "title")


def _titled(hit: Hit, title: str) -> bool:
    own = hit.passage.metadata.get("title")
    return isinstance(own, str) and normalize(own) == normalize(title)
