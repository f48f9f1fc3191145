"""Questions, and titles of a store's documents, to lessons. Each is searched for once, as the server does.

Decisions: docs/decisions/tuning.md.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lm.tuning.example import Example
from pipelines.execution.progress import BuildProgress, shown
from pipelines.questions import Question, read_questions
from pipelines.tuning.held_out import HeldOut
from pipelines.tuning.lessons import QuestionHits, balanced, lessons, title_lesson
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from retriever.results import Hit

# Passages found for a question: those that hold no answer are needed, too.
_FOUND = 30
_TOGETHER = 128
# Whose passages are taken as foreign to a question.
_OTHERS = 2000
# The share of a file's lessons that are of passages without the answer, at most.
_ABSTENTIONS = 0.3
_TITLES = ("What is {}?", "Who or what is {}?", "What does {} mean?", "Tell me about {}.", "{}")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What lessons are made of: a retriever, how it searches, what is held out, and a seed."""

    retriever: LocalRetriever
    method: Method
    held_out: HeldOut
    seed: int = 0

    def random(self, of: str) -> Random:
        """Draws that depend on a question alone, whatever else is asked."""
        return Random(f"{self.seed} {of}")


@dataclass(frozen=True, slots=True)
class Collected:
    """Lessons, how many there are of each kind, and how many questions were held out."""

    examples: tuple[Example, ...]
    kinds: dict[str, int]
    held_out: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What lessons are made of: question files, and so many titles of the store's documents.

    Lessons of each question are drawn so many times, with other passages, or the same ones otherwise.
    """

    files: tuple[Path, ...]
    titles: int = 0
    draws: int = 1


def collect(corpus: Corpus, of: Wanted, progress: BuildProgress) -> Collected:
    """Lessons of question files, and of titles."""
    asked: list[list[QuestionHits]] = []
    held_out = 0
    for file in of.files:
        found = read_questions(file, scored=False)
        if found.warning:
            progress.say(found.warning)
        learnt = [one for one in found.questions if one.id not in corpus.held_out]
        held_out += len(found.questions) - len(learnt)
        asked.append(list(_search(corpus, learnt, progress, "questions")))
    together = [one for some in asked for one in some]
    others = corpus.random("others").sample(together, min(_OTHERS, len(together)))
    examples: list[Example] = []
    for some in asked:
        each = (
            lessons(one, others, corpus.random(f"{one.question.id} {draw}"))
            for draw in range(of.draws)
            for one in some
        )
        examples += balanced([one for few in each for one in few], _ABSTENTIONS, corpus.random("balance"))
    if of.titles:
        examples += _of_titles(corpus, of.titles, progress)
    kinds = Counter(one.kind for one in examples)
    return Collected(tuple(examples), dict(sorted(kinds.items())), held_out)


def _search(
    corpus: Corpus, questions: Sequence[Question], progress: BuildProgress, what: str
) -> Iterator[QuestionHits]:
    search = Search(min(_FOUND, corpus.retriever.store.rows), method=corpus.method)
    with shown(progress, "search", what, len(questions)):
        for at in range(0, len(questions), _TOGETHER):
            some = questions[at : at + _TOGETHER]
            rankings = corpus.retriever.search([one.text for one in some], search)
            for question, ranking in zip(some, rankings, strict=True):
                yield QuestionHits(question, tuple(_allowed(corpus, ranking.hits)))
            progress.advance(len(some))


def _allowed(corpus: Corpus, hits: Iterable[Hit]) -> Iterator[Hit]:
    return (hit for hit in hits if hit.passage.doc_id not in corpus.held_out)


def _of_titles(corpus: Corpus, count: int, progress: BuildProgress) -> Iterator[Example]:
    """Lessons of documents' titles, of at most so many."""
    titles: dict[str, str] = {}
    random = corpus.random("titles")
    store = corpus.retriever.store
    for row in random.sample(range(store.rows), min(store.rows, 20 * count)):
        passage = store.passage(row)
        title = passage.metadata.get("title")
        begins = passage.chunk == 0 and isinstance(title, str) and title.strip()
        if begins and len(titles) < count and passage.doc_id not in corpus.held_out:
            titles[str(title)] = passage.doc_id
    questions = [
        Question(doc_id, random.choice(_TITLES).format(title), (title,), frozenset({doc_id}))
        for title, doc_id in titles.items()
    ]
    for asked in _search(corpus, questions, progress, "titles"):
        lesson = title_lesson(asked.question.answers[0], asked, corpus.random(asked.question.id))
        if lesson is not None:
            yield lesson
