"""Open questions: asked as `ralm ask` asks them, alone and with the passages that a search finds.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from lm.conditioning import Conditioned, Conditioning, Request, condition
from lm.reader import Reader, card
from pipelines.evaluate.intervals import clusters_of
from pipelines.evaluate.metrics import BITS, READER, ReaderMetric, contains
from pipelines.evaluate.questions.answered import Answered, Arms
from pipelines.evaluate.questions.asking import SAMPLING, answer_once
from pipelines.evaluate.searching import rankings_of
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.questions import Question
from retriever.request import Search
from retriever.results import Ranking
from retriever.retriever import Retriever
from serve.answering.answerer import sources_of

# What is right where an answer is a text: a reader answers in sentences.
KNOWN_BY = "reader containment"
# Questions whose answers are scored between two words of how far it has come.
_TOGETHER = 32


@dataclass(frozen=True)
class Asking:
    """How questions are asked: by whom, with what is found by a search, put to it by a conditioning."""

    retriever: Retriever
    reader: Reader
    search: Search
    how: Conditioning

    def run(self, questions: Sequence[Question], progress: BuildProgress | None = None) -> Answered:
        """Ask questions that all have answers. Raises RalmError for what cannot be asked."""
        progress = progress or Silent()
        if not self.how.reads:
            raise RalmError("Without passages there is nothing to compare with the reader alone: give -k.")
        search = self.retriever.settled(replace(self.search, k=self.how.passages))
        found = rankings_of(self.retriever, [one.text for one in questions], search, progress)
        alone = [self._written(one, None) for one in questions]
        beside = [self._written(*one) for one in zip(questions, found.rankings, strict=True)]
        arms, notes = self._scored(questions, alone, beside, progress)
        held = [
            contains("\n".join(block.text for block in one.blocks), question.answers)
            for one, question in zip(beside, questions, strict=True)
        ]
        of = f"of {len(questions):,} questions"
        if bare := sum(not one.blocks for one in beside):
            notes.append(f"{bare:,} {of} got no passage: they are asked alone twice.")
        if cut := sum(one.trimmed > 0 for one in beside):
            notes.append(f"{cut:,} {of} had no room for all passages: some were cut or left out.")
        return Answered(
            tuple(one.id for one in questions),
            _clusters(questions, found.rankings),
            arms,
            KNOWN_BY,
            np.array(held, bool),
            self._basis(search),
            tuple(notes),
        )

    def _written(self, question: Question, ranking: Ranking | None) -> Conditioned:
        """A question as it is asked, with room for the longest answer that is to be scored."""
        hits = ranking.hits if ranking else ()
        sources = sources_of(hits, self.retriever, self.how, self.search.view)
        longest = max(map(self.reader.count_tokens, question.answers))
        request = Request(question.text, answer_tokens=max(SAMPLING.max_tokens, longest + 1))
        return condition(self.how, request, sources, self.reader)

    def _scored(
        self,
        questions: Sequence[Question],
        alone: Sequence[Conditioned],
        beside: Sequence[Conditioned],
        progress: BuildProgress,
    ) -> tuple[tuple[Arms, ...], list[str]]:
        """Every metric in both arms, and a note if the reader cannot score."""
        notes: list[str] = []
        scored: list[Arms] = []
        try:
            bits = [self._bits(questions, one, progress) for one in (alone, beside)]
            scored.append(Arms(BITS.name, bits[0], bits[1], is_share=False))
        except RalmError as error:
            notes.append(f"Bits per answer are left out: {error}")
        asked = [one.asked for one in (*alone, *beside)]
        answers = answer_once(self.reader, asked, progress, self.how.stops)
        texts = [[answers[one.asked] for one in some] for some in (alone, beside)]
        arms = [
            Arms(one.name, _values(one, texts[0], questions), _values(one, texts[1], questions))
            for one in READER
        ]
        return (*arms, *scored), notes

    def _bits(
        self, questions: Sequence[Question], written: Sequence[Conditioned], progress: BuildProgress
    ) -> NDArray[np.float64]:
        found = np.zeros(len(questions))
        with shown(progress, "score", "answers", len(questions)):
            for at in range(0, len(questions), _TOGETHER):
                mine = slice(at, at + _TOGETHER)
                found[mine] = BITS.values(self.reader, [one.asked for one in written[mine]], questions[mine])
                progress.advance(len(questions[mine]))
        return found

    def _basis(self, search: Search) -> dict[str, Any]:
        view = search.view
        return {
            "manifest": self.retriever.hash,
            "method": search.method.name,
            "view": {"fraction": view.fraction, "seed": view.seed, "domains": list(view.domains)},
            "conditioning": self.how.told(),
            "k": self.how.passages,
            "budget": self.how.budget,
            "reader": card(self.reader),
        }


def _values(metric: ReaderMetric, texts: Sequence[str], questions: Sequence[Question]) -> NDArray[np.float64]:
    """A metric of each text, which answers a question."""
    each = zip(texts, questions, strict=True)
    return np.array([float(metric.score(text, question.answers)) for text, question in each])


def _clusters(questions: Sequence[Question], rankings: Sequence[Ranking]) -> NDArray[np.int64]:
    """Questions of one gold document are one cluster; where none is named, those of one best passage."""
    return clusters_of(
        [
            question.gold_docs or {f"{hit.store}/{hit.row}" for hit in ranking.hits[:1]}
            for question, ranking in zip(questions, rankings, strict=True)
        ]
    )
