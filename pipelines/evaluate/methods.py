"""What each way of searching finds for the questions of a file: embeddings, exact search, BM25, both.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.amounts import amount
from base.errors import RalmError
from base.names import did_you_mean
from datastore.view import View
from pipelines.evaluate.intervals import Clusters, Score, clusters_of, difference, mean
from pipelines.evaluate.metrics import RETRIEVAL, RetrievalMetric, Right
from pipelines.evaluate.searching import Found, rankings_of
from pipelines.execution.progress import BuildProgress, Silent
from pipelines.questions import Question, read_questions
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.request import Effort, Method, Search
from retriever.results import Hit, Ranking

# By name: what `ralm search --method` takes, and an exhaustive search by the stored vectors.
EXACT = "exact"
WAYS = ("hybrid", "dense", EXACT, "bm25")


@dataclass(frozen=True)
class RetrievalStudy:
    """What to measure: questions, ways of searching, and metrics by name (none: all that questions allow).

    The first of the `ways` is what the others are compared with.
    """

    store: Path
    questions: Path
    ways: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    view: View = field(default_factory=View)
    effort: Effort = field(default_factory=Effort)
    limit: int | None = None
    encoder: str | None = None
    query_encoder: str | None = None

    def __post_init__(self) -> None:
        named = tuple(one.name for one in RETRIEVAL)
        for what, given, valid in (("way of searching", self.ways, WAYS), ("metric", self.metrics, named)):
            for one in given:
                if one not in valid:
                    near = did_you_mean(one, valid)
                    raise RalmError(f"There is no {what} {one!r}: valid are {', '.join(valid)}{near}")


@dataclass(frozen=True)
class Way:
    """One way of searching: the values of each metric at each depth, by name, and milliseconds a question.

    `short` questions found fewer passages than the deepest metric looks at.
    """

    name: str
    values: Mapping[str, NDArray[np.float64]]
    milliseconds: float
    short: int


@dataclass(frozen=True)
class RetrievalFigures:
    """What each way found, of so many questions, with the clusters of those of each metric."""

    study: RetrievalStudy
    ways: tuple[Way, ...]
    clusters: Mapping[str, Clusters]
    asked: int
    basis: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def scores(self, way: Way) -> dict[str, Score]:
        """The mean of each metric, with its interval."""
        return {name: mean(values, self.clusters[name]) for name, values in way.values.items()}

    def differences(self, way: Way) -> dict[str, Score]:
        """How much more each metric is than by the first way, on the same questions."""
        first = self.ways[0].values
        return {name: difference(mine, first[name], self.clusters[name]) for name, mine in way.values.items()}

    def to_json(self) -> dict[str, Any]:
        """All of it, by names: shares from 0 to 1."""
        return {
            "questions": self.asked,
            "ways": {
                way.name: {
                    "figures": {name: asdict(one) for name, one in self.scores(way).items()},
                    f"difference to {self.ways[0].name}": {
                        name: asdict(one) | {"change": one.change}
                        for name, one in self.differences(way).items()
                    },
                    "milliseconds": way.milliseconds,
                    "short": way.short,
                }
                for way in self.ways
            },
            **self.basis,
            "view": asdict(self.study.view),
            "notes": list(self.notes),
        }


def run(study: RetrievalStudy, progress: BuildProgress | None = None) -> RetrievalFigures:
    """Measure a study. Raises RalmError for questions or a store that it cannot be measured with."""
    progress = progress or Silent()
    file = read_questions(study.questions, study.limit)
    metrics = _metrics(study, file.questions)
    notes = [file.warning] if file.warning else []
    how = Opening(encoder=study.encoder, query_encoder=study.query_encoder)
    retriever = LocalRetriever.open(study.store, how)
    names, left_out = _ways(study, retriever)
    notes += left_out
    found: list[Way] = []
    for name in names:
        searched = _search(name, study, retriever, file.questions, _deepest(metrics), progress)
        notes += _unasked(name, searched, file.questions)
        found.append(_judged(name, searched, file.questions, metrics))
    for note in notes:
        progress.say(note)
    clusters = {
        metric.heading(k): clusters_of([one.gold_docs for one in file.questions if metric.needs(one)])
        for metric in metrics
        for k in metric.depths
    }
    store = retriever.store
    basis = {
        "manifest": store.hash,
        "passages": store.passages,
        "encoder": store.manifest.encoder.name,
        "index": store.manifest.index.key,
    }
    return RetrievalFigures(study, tuple(found), clusters, len(file.questions), basis, tuple(notes))


def _metrics(study: RetrievalStudy, questions: Sequence[Question]) -> list[RetrievalMetric]:
    """The metrics that some questions allow. Raises RalmError if none of those that are wanted is."""
    wanted = [one for one in RETRIEVAL if not study.metrics or one.name in study.metrics]
    found = [one for one in wanted if any(map(one.needs, questions))]
    if not found:
        needed = " or ".join(dict.fromkeys(f"`{one.field}`" for one in wanted))
        raise RalmError(f"No question of {study.questions.name} has {needed}, by which passages are scored.")
    return found


def _deepest(metrics: Sequence[RetrievalMetric]) -> int:
    return max(k for one in metrics for k in one.depths)


def _ways(study: RetrievalStudy, retriever: LocalRetriever) -> tuple[list[str], list[str]]:
    """The ways that a store allows, and notes on those that it does not."""
    if study.ways:
        return list(study.ways), []
    notes = []
    left_out: set[str] = set()
    if not retriever.store.has_words:
        left_out |= {"hybrid", "bm25"}
        notes.append("The store has no BM25 index: neither bm25 nor hybrid is measured.")
    if retriever.index.key.exact:
        left_out.add(EXACT)
        notes.append("The index is exact: dense is the exact search.")
    return [one for one in WAYS if one not in left_out], notes


def _search(  # noqa: PLR0913
    name: str,
    study: RetrievalStudy,
    retriever: LocalRetriever,
    questions: Sequence[Question],
    k: int,
    progress: BuildProgress,
) -> Found:
    texts = [one.text for one in questions]
    method = Method("dense" if name == EXACT else name)  # type: ignore[arg-type]
    search = retriever.settled(Search(k, study.view, study.effort, method))
    if name == EXACT:
        return _exactly(retriever, texts, search)
    return rankings_of(retriever, texts, search, progress)


def _exactly(retriever: LocalRetriever, texts: Sequence[str], search: Search) -> Found:
    """What an exhaustive search by the stored vectors finds: no index is asked."""
    from retriever.ranking.measuring import exact

    asked = retriever.answerable(texts, [search.view], search)
    kept = retriever.store.mask(search.view)
    rows = np.flatnonzero(kept)
    started = perf_counter()
    first = 0
    shards = []
    for vectors in retriever.store.shard_vectors():
        mine = kept[first : first + len(vectors)]
        shards.append(vectors if mine.all() else vectors[mine])
        first += len(vectors)
    some = [text for text, one in zip(texts, asked.tolist(), strict=True) if one]
    best = exact(retriever.encoder.encode_queries(some), shards, min(search.k, len(rows)))
    found = iter(
        Ranking(
            tuple(Hit(int(rows[at]), 0.0, retriever.store.passage(int(rows[at]))) for at in one if at >= 0),
            False,
        )
        for one in best
    )
    rankings = tuple(next(found) if one else Ranking((), True) for one in asked.tolist())
    return Found(rankings, asked, perf_counter() - started)


def _judged(
    name: str, searched: Found, questions: Sequence[Question], metrics: Sequence[RetrievalMetric]
) -> Way:
    values: dict[str, NDArray[np.float64]] = {}
    for metric in metrics:
        mine = [at for at, question in enumerate(questions) if metric.needs(question)]
        asked = [questions[at] for at in mine]
        rights: list[list[Right]] = [
            [metric.right(questions[at], hit.passage) for hit in searched.rankings[at].hits] for at in mine
        ]
        for k in metric.depths:
            values[metric.heading(k)] = metric.values(asked, rights, k)
    short = sum(len(one.hits) < _deepest(metrics) for one in searched.rankings)
    return Way(name, values, 1000 * searched.seconds / len(questions), short)


def _unasked(name: str, searched: Found, questions: Sequence[Question]) -> list[str]:
    """Says of how many questions the encoder knows nothing: they count as found nothing."""
    lost = [question.id for question, one in zip(questions, searched.asked.tolist(), strict=True) if not one]
    if not lost:
        return []
    of = f"{len(lost):,} of {amount(len(questions), 'questions')}, {lost[0]} the first,"
    return [f"{name}: {of} hold nothing that the encoder knows: they count as found nothing."]
