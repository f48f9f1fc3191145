"""What each arm of a study finds for every question: one search of the index for all views.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from datastore.view import View
from pipelines.evaluate.searching import exhaustive
from pipelines.evaluate.study.arms import Arm
from pipelines.evaluate.study.follow import Reranker, kept
from pipelines.execution.progress import BuildProgress, shown
from pipelines.questions import Question
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from retriever.results import Hit, Ranking

# Passages found before any view is applied.
DEPTH = 1000
# Of questions that are not searched for, so many are named.
_NAMED = 10
# Questions that are searched for between two words of how far it has come.
_TOGETHER = 128
# Of a question that is not searched for.
_NOTHING = Ranking((), True)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some questions of a task, and what each arm finds for each of them: best passages first."""

    questions: Sequence[Question]
    found: Mapping[Arm, list[tuple[Hit, ...]]]


@dataclass
class Finder:
    """Searches for questions in all arms, for the `k` best passages; `pool` hits are ranked anew.

    `notes` say afterwards which questions found nothing, and why.
    """

    retriever: LocalRetriever
    arms: Sequence[Arm]
    k: int
    pool: int
    notes: list[str] = field(default_factory=list)

    @cached_property
    def _rerankers(self) -> dict[str, Reranker]:
        return {arm.reranker: Reranker(arm.reranker) for arm in self.arms if arm.reranker != "none"}

    def batches(self, questions: Sequence[Question], progress: BuildProgress) -> Iterator[Batch]:
        """The questions, some at a time. Raises RalmError if none of them can be searched for."""
        asked = {method: self._answerable(method, questions) for method in self._methods}
        nothing = np.ones(len(questions), bool)
        with shown(progress, "search", "questions", len(questions)):
            for at in range(0, len(questions), _TOGETHER):
                mine = slice(at, at + _TOGETHER)
                some = questions[mine]
                found: dict[Arm, list[tuple[Hit, ...]]] = {}
                for method, known in asked.items():
                    found |= self._found(method, some, known[mine])
                nothing[mine] = ~np.any([[bool(hits) for hits in one] for one in found.values()], axis=0)
                yield Batch(some, found)
                for reranker in self._rerankers.values():
                    reranker.forget()
                progress.advance(len(some))
        self._note(questions, asked, nothing)

    @property
    def _methods(self) -> dict[str, None]:
        return dict.fromkeys(arm.method for arm in self.arms)

    def _answerable(self, method: str, questions: Sequence[Question]) -> NDArray[np.bool_]:
        search = search_of(self.retriever, method, self.k)
        views = list(dict.fromkeys(arm.view for arm in self.arms if arm.method == method))
        return self.retriever.answerable([one.text for one in questions], views, search)

    def _found(
        self, method: str, some: Sequence[Question], known: NDArray[np.bool_]
    ) -> dict[Arm, list[tuple[Hit, ...]]]:
        """What the arms of a method find for some questions [n], of which the `known` ones are asked."""
        found: dict[Arm, list[tuple[Hit, ...]]] = {
            arm: [()] * len(some) for arm in self.arms if arm.method == method
        }
        pending = {arm: np.flatnonzero(known).tolist() for arm in found} if known.any() else {}
        depth = max(map(self._wanted, found))
        while pending:
            places = sorted(set().union(*pending.values()))
            rankings = self._search(method, [some[at] for at in places], list(pending), depth)
            left: dict[Arm, list[int]] = {}
            for arm, mine in pending.items():
                for at in mine:
                    ranking = rankings[arm.view][places.index(at)]
                    hits = kept(arm.filter, ranking.hits, some[at])
                    if len(hits) >= self._wanted(arm) or ranking.exhausted or depth >= self.retriever.rows:
                        found[arm][at] = self._ranked(arm, some[at], hits)
                    else:
                        left.setdefault(arm, []).append(at)
            # If filters drop hits, the search goes deeper until enough are left.
            pending, depth = left, 2 * depth
        return found

    def _wanted(self, arm: Arm) -> int:
        """How many passages an arm finds: a pool, if they are ranked anew."""
        return self.k if arm.reranker == "none" else max(self.k, self.pool)

    def _search(
        self, method: str, some: Sequence[Question], arms: Sequence[Arm], depth: int
    ) -> dict[View, list[Ranking]]:
        views = list(dict.fromkeys(arm.view for arm in arms))
        search = search_of(self.retriever, method, depth)
        each = self.retriever.search_many([one.text for one in some], views, search)
        return dict(zip(views, each, strict=True))

    def _ranked(self, arm: Arm, question: Question, hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
        if arm.reranker != "none":
            hits = self._rerankers[arm.reranker].rank(question.text, hits[: self._wanted(arm)])
        return hits[: self.k]

    def _note(
        self,
        questions: Sequence[Question],
        asked: Mapping[str, NDArray[np.bool_]],
        nothing: NDArray[np.bool_],
    ) -> None:
        """Say which questions found nothing, and why."""
        encoder = self.retriever.store.manifest.encoder.for_queries.name
        known = np.ones(len(questions), bool)
        for method, mine in asked.items():
            if not mine.all():
                self.notes.append(_unasked(method, mine, questions, encoder))
            known &= mine
        if (unfound := known & nothing).any():
            self.notes.append(_of(questions, unfound, "found no passage in any share of the store"))


def _unasked(method: str, asked: NDArray[np.bool_], questions: Sequence[Question], encoder: str) -> str:
    """Says that some questions [n] were not searched for."""
    count, hold = ("counts", "holds") if np.count_nonzero(~asked) == 1 else ("count", "hold")
    also = ", and no passage has their words" if method == "hybrid" else ""
    what = f"{hold} nothing that the encoder {encoder} knows{also}: {count} as found nothing"
    return _of(questions, ~asked, what)


def _of(questions: Sequence[Question], which: NDArray[np.bool_], what: str) -> str:
    """Says something of some of the questions [n], the first of which are named."""
    ids = [questions[at].id for at in np.flatnonzero(which).tolist()]
    listed = ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
    return f"{len(ids):,} of {len(questions):,} questions {what} ({listed})."


def search_of(retriever: LocalRetriever, method: str, k: int) -> Search:
    """The search of an arm for its k best passages, through all lists of the index."""
    reach = min(max(DEPTH, k), retriever.store.rows)
    named = Method(method)  # type: ignore[arg-type]
    return Search(k, effort=exhaustive(retriever), method=named, reach=reach)
