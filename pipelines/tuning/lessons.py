"""What a question and the passages found for it teach: an answer that they hold, or that they hold none.

The passages stand as the server puts them before a reader. Lessons of one question differ in their passages:
as found; with one that holds the answer at any rank; without such ones, whatever is near; of other questions.
How the passages look differs, too.

Decisions: docs/decisions/tuning.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from random import Random

from lm.conditioning import Source
from lm.sentences import sentence_end
from lm.tuning.example import ABSTENTION, Example
from pipelines.evaluate.metrics import contains, normalize
from pipelines.questions import Question
from pipelines.tuning.shapes import sentences, shaped, typed
from retriever.results import Hit
from serve.answering.answerer import source_of

# As `ralm ask` and chat take 3, most lessons do.
_COUNTS = (1, 1, 2, 3, 3, 3, 4, 5)
# Of questions, so many are asked of near passages that do not tell.
_NEAR = 0.6
# These are the first, or some of so many.
_DEEP = 8
_IN_A_SENTENCE = 0.15
_LONGEST_SENTENCE = 60
_SENTENCE = " Answer in a full sentence."


@dataclass(frozen=True)
class QuestionHits:
    """A question and what was found for it, best first."""

    question: Question
    hits: tuple[Hit, ...]

    @cached_property
    def holding(self) -> tuple[Hit, ...]:
        """Those that hold an answer; asked for in each draw."""
        return tuple(hit for hit in self.hits if _holds(self.question, hit))

    @cached_property
    def lacking(self) -> tuple[Hit, ...]:
        """Those that hold none."""
        rows = {hit.row for hit in self.holding}
        return tuple(hit for hit in self.hits if hit.row not in rows)


def lessons(asked: QuestionHits, others: Sequence[QuestionHits], random: Random) -> list[Example]:
    """Examples of a question. `others` are those whose passages are taken as having nothing to do with it."""
    if asked.question.chosen is not None:
        return [_chosen(asked.question, asked.question.chosen, asked.hits, random)]
    question = asked.question
    if not question.answers or not asked.hits:
        return []
    found = [_lesson("found", question, asked.hits[: random.choice(_COUNTS)], random)]
    if asked.holding:
        placed = _placed(_best(question, asked.holding), asked.lacking, random)
        found.append(_lesson("placed", question, placed, random))
    if random.random() < _NEAR:
        near = _some(asked.lacking, random.choice(_COUNTS), random)
        found.append(_lesson("near", question, near, random))
    found.append(_foreign(asked, others, random))
    return [one for one in found if one.sources]


def _best(question: Question, holding: Sequence[Hit]) -> Hit:
    """Of passages that hold the answer the best of a gold document; others may do so in passing."""
    return next((hit for hit in holding if hit.passage.doc_id in question.gold_docs), holding[0])


def _some(hits: Sequence[Hit], count: int, random: Random) -> list[Hit]:
    """The first, or some of the first few, best first."""
    if random.random() < 0.5:
        return list(hits[:count])
    deep = hits[:_DEEP]
    return [deep[at] for at in sorted(random.sample(range(len(deep)), min(count, len(deep))))]


def _foreign(asked: QuestionHits, others: Sequence[QuestionHits], random: Random) -> Example:
    """The best passages of other questions. What is expected stays, for a reader that knows it by itself."""
    some_others = random.sample(others, min(5, len(others)))
    foreign = [hit for other in some_others if other is not asked for hit in other.hits[:1]]
    some = [hit for hit in foreign if not _holds(asked.question, hit)][: random.choice(_COUNTS)]
    sources = shaped([source_of(hit) for hit in some], asked.question.answers, random)
    return Example(asked.question.text, sources, ABSTENTION, "foreign, unanswered", asked.question.answers)


def balanced(examples: Sequence[Example], share: float, random: Random) -> list[Example]:
    """As many abstentions at most as are a `share` of all, drawn at random: else a reader learns to abstain
    whenever a question looks like those that a store seldom answers. Foreign lessons are left: how many of
    them are wanted depends on what the reader knows.
    """
    abstaining = [at for at, one in enumerate(examples) if one.answer == ABSTENTION and not one.expected]
    answering = sum(one.answer != ABSTENTION for one in examples)
    most = round(share / (1 - share) * answering)
    left_out = set(random.sample(abstaining, max(0, len(abstaining) - most)))
    return [one for at, one in enumerate(examples) if at not in left_out]


def _placed(holding: Hit, lacking: Sequence[Hit], random: Random) -> list[Hit]:
    """A passage that holds the answer at any rank among those that do not."""
    some = _some(lacking, random.choice(_COUNTS) - 1, random)
    some.insert(random.randint(0, len(some)), holding)
    return some


def _holds(question: Question, hit: Hit) -> bool:
    return _tells(question, source_of(hit))


def _tells(question: Question, source: Source) -> bool:
    """Whether the answer can be read in it, be it in the title."""
    return contains(f"{source.title}\n{source.text}", question.answers)


def _lesson(kind: str, question: Question, hits: Sequence[Hit], random: Random) -> Example:
    sources = shaped([source_of(hit) for hit in hits], question.answers, random)
    asked = typed(question.text, random)
    telling = next((one for one in sources if _tells(question, one)), None)
    if telling is None:
        return Example(asked, sources, ABSTENTION, f"{kind}, unanswered")
    if random.random() < _IN_A_SENTENCE and (said := sentence_with(telling.text, question)):
        return Example(question.text + _SENTENCE, sources, said, f"{kind}, in a sentence")
    return Example(asked, sources, _told(question, telling), f"{kind}, answered")


def _told(question: Question, telling: Source) -> str:
    """The first of the expected answers that the passage holds, else one of its title."""
    by_text = (one for one in question.answers if contains(telling.text, [one]))
    by_title = (one for one in question.answers if contains(telling.title, [one]))
    return next(chain(by_text, by_title))


def sentence_with(text: str, question: Question) -> str | None:
    """The sentence of a passage that holds an answer, if it is whole and not long."""
    sentence = next((one for one in sentences(text) if contains(one, question.answers)), None)
    if sentence is None or len(sentence.split()) > _LONGEST_SENTENCE:
        return None
    return sentence if sentence[:1].isupper() and sentence.endswith((".", "!", "?")) else None


def _chosen(question: Question, chosen: int, hits: Sequence[Hit], random: Random) -> Example:
    """One of several choices: named in the question, and answered whether or not the passages help."""
    listed = "\n".join(f"{_label(at)}. {one}" for at, one in enumerate(question.choices))
    sources = tuple(map(source_of, hits[: random.choice(_COUNTS)]))
    return Example(f"{question.text}\n{listed}", sources, question.choices[chosen], "choice")


def _label(at: int) -> str:
    """A to Z, then AA, AB and so on, as columns of a table are called."""
    before, letter = divmod(at, 26)
    return (_label(before - 1) if before else "") + chr(ord("A") + letter)


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
