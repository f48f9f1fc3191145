"""Samples of the store, and what each of them finds for every question.

One search pays for the whole curve: the index is searched once, and each view keeps its share of
what was found.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datastore.store import Datastore
from datastore.view import View
from pipelines.evaluate.curve import StoreShare
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.metrics import RETRIEVAL
from pipelines.evaluate.searching import exhaustive
from pipelines.execution.progress import BuildProgress, shown
from pipelines.questions import Question
from retriever.local import LocalRetriever
from retriever.request import Search
from retriever.results import Ranking

# Passages found before any view is applied.
DEPTH = 1000
_DENSE = (
    "Passages are found by embeddings alone (dense): a share is searched as if the store had been built of "
    "it. BM25, which `ralm ask` joins with them, weighs words by the whole store (--method hybrid)."
)
# Of questions that are not searched for, so many are named.
_NAMED = 10
# Questions that are searched for between two words of how far it has come.
_TOGETHER = 128
# Of a question that is not searched for.
_NOTHING = Ranking((), True)


@dataclass(frozen=True, slots=True)
class Searched:
    """A question and what a sample finds for it."""

    question: Question
    ranking: Ranking


@dataclass(frozen=True, slots=True)
class Sample:
    """What a view keeps: so many passages, and what is found in them for each question.

    Without a view it is the LM alone, for which nothing is found.
    """

    view: View | None
    passages: int
    searched: tuple[Searched, ...]

    @classmethod
    def alone(cls, questions: Sequence[Question]) -> "Sample":
        """The LM alone, asked these questions."""
        return cls(None, 0, tuple(Searched(question, _NOTHING) for question in questions))

    @property
    def fraction(self) -> float:
        """Its share of the store; 0 for the LM alone."""
        return self.view.fraction if self.view else 0.0

    @property
    def seed(self) -> int:
        """Which of the samples of its fraction it is."""
        return self.view.seed if self.view else 0

    def of(self, wanted: Callable[[Question], object], most: int | None = None) -> "Sample":
        """The same with those questions alone that are `wanted`, the first `most` of them."""
        found = tuple(one for one in self.searched if wanted(one.question))
        return replace(self, searched=found[:most])


def by_share(samples: Sequence[Sample]) -> list[tuple[StoreShare, list[Sample]]]:
    """Samples of one fraction together."""
    together: dict[float, list[Sample]] = {}
    for sample in samples:
        together.setdefault(sample.fraction, []).append(sample)
    return [
        (StoreShare(fraction, len(some), round(float(np.mean([one.passages for one in some])))), some)
        for fraction, some in together.items()
    ]


def short_of_the_deepest(samples: Sequence[Sample]) -> int:
    """How many rankings hold fewer passages than the deepest metric looks at."""
    return sum(len(one.ranking.hits) < _deepest() for sample in samples for one in sample.searched)


def _deepest() -> int:
    return max(k for metric in RETRIEVAL for k in metric.depths)


def search_samples(
    study: Study, questions: Sequence[Question], retriever: LocalRetriever, progress: BuildProgress
) -> tuple[list[Sample], list[str]]:
    """A sample for each view of a study, and notes about the questions for which nothing is found.

    Raises RalmError if none of them can be searched for.
    """
    if study.method.name == "dense" and retriever.store.has_words:
        progress.say(_DENSE)
    notes = []
    search = search_of(study, retriever)
    asked = retriever.answerable([question.text for question in questions], study.views, search)
    if not asked.all():
        notes.append(_unasked(study, asked, questions, retriever.store.manifest.encoder.for_queries.name))
        progress.say(notes[-1])
    some = [question for question, one in zip(questions, asked.tolist(), strict=True) if one]
    rankings = [_in_place(asked, found) for found in _search(retriever, some, study.views, search, progress)]
    found_any = np.any([[bool(one.hits) for one in of_view] for of_view in rankings], axis=0)
    if (nothing := asked & ~found_any).any():
        notes.append(_of_questions(questions, nothing, "found no passage in any share of the store"))
        progress.say(notes[-1])
    samples = [
        Sample(view, view_size(retriever.store, view), tuple(map(Searched, questions, of_view)))
        for view, of_view in zip(study.views, rankings, strict=True)
    ]
    return samples, notes


def _search(
    retriever: LocalRetriever,
    questions: Sequence[Question],
    views: Sequence[View],
    search: Search,
    progress: BuildProgress,
) -> list[list[Ranking]]:
    """What each view finds for each question: [views][questions]."""
    found: list[list[Ranking]] = [[] for _ in views]
    with shown(progress, "search", "questions", len(questions)):
        for at in range(0, len(questions), _TOGETHER):
            texts = [question.text for question in questions[at : at + _TOGETHER]]
            for rankings, of_some in zip(found, retriever.search_many(texts, views, search), strict=True):
                rankings += of_some
            progress.advance(len(texts))
    return found


def _in_place(asked: NDArray[np.bool_], found: Sequence[Ranking]) -> list[Ranking]:
    """Rankings of all questions [n], of which those that were `asked` have found something."""
    rest = iter(found)
    return [next(rest) if one else _NOTHING for one in asked.tolist()]


def _unasked(study: Study, asked: NDArray[np.bool_], questions: Sequence[Question], encoder: str) -> str:
    """Says that some questions [n] were not searched for."""
    count, hold = ("counts", "holds") if np.count_nonzero(~asked) == 1 else ("count", "hold")
    also = ", and no passage has their words" if study.method.name == "hybrid" else ""
    what = f"{hold} nothing that the encoder {encoder} knows{also}: {count} as found nothing"
    return _of_questions(questions, ~asked, what)


def _of_questions(questions: Sequence[Question], which: NDArray[np.bool_], what: str) -> str:
    """Says something of some of the questions [n], the first of which are named."""
    ids = [questions[at].id for at in np.flatnonzero(which).tolist()]
    listed = ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
    return f"{len(ids):,} of {len(questions):,} questions {what} ({listed})."


def search_of(study: Study, retriever: LocalRetriever) -> Search:
    """What is asked for each question, in every view of a study."""
    reach = min(DEPTH, retriever.store.rows)
    return Search(_deepest(), effort=exhaustive(retriever), method=study.method, reach=reach)


def view_size(store: Datastore, view: View) -> int:
    """How many passages a view keeps."""
    return int(store.mask(view).sum())
