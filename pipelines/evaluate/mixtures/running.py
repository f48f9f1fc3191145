"""One search of a store, and all that is reckoned from it: mixtures, the best of them, each domain's worth.

Questions are halved. One half chooses the mixture, the other says what it is worth: a mixture is not praised
by the questions that it was chosen by.

Decisions: docs/decisions/mixtures.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.view import View
from pipelines.evaluate.analysis.mixture import Regression, drawn, rates, shares
from pipelines.evaluate.intervals import clusters_of
from pipelines.evaluate.metrics import CONTAINMENT, SUCCESS, RetrievalMetric
from pipelines.evaluate.mixtures import tables
from pipelines.evaluate.mixtures.found import Found
from pipelines.evaluate.mixtures.tables import Compared, Mixture, Used
from pipelines.evaluate.searching import exhaustive
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.questions import Question, read_questions
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.request import Search
from retriever.results import Ranking

# Passages that are looked at for each question.
_DEPTH = 1000
# Questions that are searched for at once: each brings a thousand passages.
_TOGETHER = 16
# Fewer mixtures than these say nothing of so many numbers.
FEWEST = 20


@dataclass(frozen=True)
class Mixing:
    """What is tried: `count` mixtures of `budget` of the store's passages, scored by the first k passages.

    The mixtures that are compared are sampled `seeds` times.
    """

    store: Path
    questions: Path
    output: Path
    count: int = 300
    budget: float = 0.1
    k: int = 5
    seeds: int = 3
    limit: int | None = None
    encoder: str | None = None
    query_encoder: str | None = None

    def __post_init__(self) -> None:
        if self.count < FEWEST:
            raise RalmError(f"{self.count} mixtures are too few for a regression: try {FEWEST} or more.")
        if not 0 < self.budget < 1:
            raise RalmError(
                f"The budget of mixtures is a share of the store above 0 and below 1, not {self.budget:g}."
            )
        if self.k < 1 or self.seeds < 1:
            raise RalmError("Mixtures need at least one passage (k) and one seed.")


@dataclass(frozen=True)
class _Searched:
    """Questions that a metric can score, what was found for them, and how many passages each domain has."""

    task: str
    metric: RetrievalMetric
    questions: tuple[Question, ...]
    found: Found
    sizes: NDArray[np.float64]
    manifest: str
    used: tuple[Used, ...]

    @property
    def clusters(self) -> NDArray[np.int64]:
        return clusters_of([question.gold_docs for question in self.questions])


def run(mixing: Mixing, progress: BuildProgress | None = None) -> list[Mixture]:
    """Search, try mixtures, and write three tables into the output folder; gives the mixtures.

    Raises RalmError for a store of one domain, and for questions that cannot be scored.
    """
    progress = progress or Silent()
    how = Opening(encoder=mixing.encoder, query_encoder=mixing.query_encoder)
    retriever = LocalRetriever.open(mixing.store, how)
    searched = _search(mixing, retriever, progress)
    first = searched.clusters % 2 == 0
    budget = mixing.budget * searched.sizes.sum()
    weights = drawn(searched.sizes, mixing.count, np.random.default_rng(0))
    tried = rates(weights, searched.sizes, budget)
    scored, hashes = [], searched.found.hashes(0)
    with shown(progress, "mix", "mixtures", mixing.count):
        for one in tried:
            scored.append(searched.found.successes(one, mixing.k, hashes))
            progress.advance(1)
    means = np.array([values[first].mean() for values, _ in scored])
    regression = Regression.of(shares(tried, searched.sizes), means)
    natural = np.full(len(searched.sizes), mixing.budget)
    chosen = {
        tables.NATURAL: natural,
        tables.PREDICTED: regression.best(searched.sizes, budget),
        tables.BEST_DRAWN: tried[int(means.argmax())],
    }
    return _written(mixing, searched, (tried, scored), chosen)


def _search(mixing: Mixing, retriever: LocalRetriever, progress: BuildProgress) -> _Searched:
    store = retriever.store
    domains = sorted(store.manifest.domains)
    if len(domains) < 2:
        raise RalmError(f"The store {mixing.store} has one domain: there is nothing to mix.")
    file = read_questions(mixing.questions, mixing.limit)
    metric = SUCCESS if any(question.gold_docs for question in file.questions) else CONTAINMENT
    questions = tuple(question for question in file.questions if metric.needs(question))
    task = mixing.questions.name.split(".")[0]
    reach = min(_DEPTH, store.rows)
    search = Search(reach, effort=exhaustive(retriever), reach=reach)
    asked = retriever.answerable([question.text for question in questions], (View(),), search)
    questions = tuple(question for question, one in zip(questions, asked.tolist(), strict=True) if one)
    if len(clusters := set(clusters_of([one.gold_docs for one in questions]).tolist())) < 2:
        raise RalmError(
            f"{len(clusters)} independent questions of {mixing.questions.name} are too few to be halved."
        )
    found, used = None, []
    with shown(progress, "search", "questions", len(questions)):
        for some, rankings in _rankings(retriever, questions, search):
            more = Found.of(domains, metric, some, rankings)
            found = more if found is None else found.joined(more)
            for question, ranking in zip(some, rankings, strict=True):
                used += _used(task, question, ranking, metric, mixing.k)
            progress.advance(len(some))
    assert found is not None
    sizes = np.array([store.mask(View(domains=(one,))).sum() for one in domains], float)
    return _Searched(task, metric, questions, found, sizes, store.hash, tuple(used))


def _rankings(
    retriever: LocalRetriever, questions: Sequence[Question], search: Search
) -> Iterator[tuple[Sequence[Question], Sequence[Ranking]]]:
    for at in range(0, len(questions), _TOGETHER):
        some = questions[at : at + _TOGETHER]
        (rankings,) = retriever.search_many([question.text for question in some], (View(),), search)
        yield some, rankings


def _used(task: str, question: Question, ranking: Ranking, metric: RetrievalMetric, k: int) -> list[Used]:
    return [
        Used(
            *(task, question.id, rank, hit.passage.domain, hit.passage.doc_id, hit.passage.chunk),
            right=metric.right(question, hit.passage) is not None,
        )
        for rank, hit in enumerate(ranking.hits[:k], 1)
    ]


def _written(
    mixing: Mixing,
    searched: _Searched,
    tried: tuple[NDArray[np.float64], Sequence[tuple[NDArray[np.bool_], int]]],
    chosen: dict[str, NDArray[np.float64]],
) -> list[Mixture]:
    clusters = searched.clusters
    first = clusters % 2 == 0
    mixtures = [
        _mixture(mixing, searched, tables.DRAWN, (of, values[first], short))
        for of, (values, short) in zip(*tried, strict=True)
    ]
    compared: list[Compared] = []
    for role, of in (*chosen.items(), *_without(searched).items()):
        # The whole store and what is left of it without a domain chose nothing: all questions count.
        kept = ~first if role in chosen else np.ones(len(first), bool)
        seeds = range(1, mixing.seeds + 1) if role in chosen else range(1)
        short = 0
        means: list[NDArray[np.bool_]] = []
        for seed in seeds:
            values, few = searched.found.successes(of, mixing.k, searched.found.hashes(seed))
            short, means = short + few, [*means, values[kept]]
            compared += [
                Compared(
                    searched.task, role, seed, searched.questions[at].id, int(clusters[at]), float(values[at])
                )
                for at in np.flatnonzero(kept)
            ]
        mixtures.append(_mixture(mixing, searched, role, (of, np.mean(means, axis=0), short)))
    mixing.output.mkdir(parents=True, exist_ok=True)
    tables.write(mixing.output / tables.COMPARED, compared)
    tables.write(mixing.output / tables.USED, searched.used)
    # Last: who finds it finds what it stands on, too.
    tables.write(mixing.output / tables.MIXTURES, mixtures)
    return mixtures


def _without(searched: _Searched) -> dict[str, NDArray[np.float64]]:
    """The whole store, and what is left of it without each domain."""
    count = len(searched.sizes)
    found = {tables.WHOLE: np.ones(count)}
    for at, name in enumerate(searched.found.domains):
        found[tables.WITHOUT + name] = np.where(np.arange(count) == at, 0.0, 1.0)
    return found


def _mixture(
    mixing: Mixing, searched: _Searched, role: str, of: tuple[NDArray[np.float64], NDArray[np.float64], int]
) -> Mixture:
    kept, values, short = of
    return Mixture(
        *(searched.task, searched.metric.name, mixing.k, role, float(values.mean()), len(values), short),
        budget=round(float((kept * searched.sizes).sum())),
        manifest=searched.manifest,
        domains=searched.found.domains,
        passages=tuple(int(one) for one in searched.sizes),
        rates=tuple(float(one) for one in kept),
    )
