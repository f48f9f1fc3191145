"""The scaling curve: how retrieval and answers improve with the share of the datastore they see.

One search pays for the whole curve: the index is searched once, and each view keeps its share of
what was found.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.store import Datastore
from datastore.view import View
from lm.weights import DEFAULT_QUANTIZATION
from pipelines.evaluate.metrics import confidence, contains, first_rank
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.questions import Question, read_questions
from retriever.local import Retriever
from retriever.ranking.results import DENSE, Method, Ranking, Setting

if TYPE_CHECKING:
    from lm.reading import Reader

# Passages found before any view is applied.
DEPTH = 1000
DEPTHS_SHOWN = (1, 5, 20)
# As many of each ranking as a hybrid search joins, at least.
_JOINED = 100
_DENSE = (
    "Passages are found by embeddings alone (dense): a share is searched as if the store had been built of "
    "it. BM25, which `ralm ask` joins with them, weighs words by the whole store (--method hybrid)."
)
# Of questions that are not searched for, so many are named.
_NAMED = 10
# Questions that are searched for between two words of how far it has come.
_TOGETHER = 128


@dataclass(frozen=True)
class Study:
    """What to measure; `encoder` and `query_encoder` are where the store's own lie, if they have moved."""

    store: Path
    questions: Path
    output: Path
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    seeds: int = 3
    reader: str | None = None
    quantization: str = DEFAULT_QUANTIZATION
    reader_questions: int = 100
    reader_passages: int = 3
    limit: int | None = None
    method: Method = DENSE
    encoder: str | None = None
    query_encoder: str | None = None

    @property
    def views(self) -> tuple[View, ...]:
        """One view for the whole store, and one for each seed of a smaller fraction."""
        return tuple(
            View(fraction, seed)
            for fraction in self.fractions
            for seed in range(self.seeds if fraction < 1 else 1)
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of the curve and all that it depends on; fraction 0 is the LM alone.

    `value` is a mean over n questions (and over seeds), with its 95% interval; `k` is the depth of a
    retrieval metric, or the passages a reader saw. `short` counts the (question, seed) pairs whose
    search found fewer than k passages.
    """

    metric: str
    k: int
    fraction: float
    seeds: int
    passages: int
    value: float
    low: float
    high: float
    n: int
    short: int
    manifest: str
    encoder: str
    method: str
    reader: str
    quantization: str
    reader_bytes: int


@dataclass(frozen=True)
class Curve:
    """All points of a study, and what was asked; `notes` say which questions were not."""

    study: Study
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()

    def columns(self) -> list[str]:
        """Headings for people: fraction, passages, then one a metric."""
        return ["fraction", "passages", *dict.fromkeys(_heading(p) for p in self.points)]

    def rows_for_people(self) -> list[list[str]]:
        """A row for each fraction, values in per cent with their interval."""
        names = self.columns()[2:]
        rows = []
        for fraction in sorted({p.fraction for p in self.points}):
            mine = {_heading(p): p for p in self.points if p.fraction == fraction}
            passages = max(p.passages for p in mine.values())
            cells = [_cell(mine.get(name)) for name in names]
            rows.append([f"{fraction:g}" if fraction else "LM alone", f"{passages:,}", *cells])
        return rows


def _heading(point: Point) -> str:
    return f"{point.metric}@{point.k}" if not point.metric.startswith("reader") else point.metric


def _cell(point: Point | None) -> str:
    if point is None:
        return ""
    return f"{100 * point.value:.1f} [{100 * point.low:.1f}, {100 * point.high:.1f}]"


def run(study: Study, progress: BuildProgress | None = None) -> Curve:
    """Measure the curve and write results.parquet, scaling.png, report.md (and answers.jsonl)."""
    progress = progress or Silent()
    from pipelines.evaluate.report import write

    if study.seeds < 1 or not study.fractions:
        raise RalmError("A study needs at least one fraction and one seed.")
    views = study.views  # Refuses a fraction outside (0, 1] before anything is loaded.
    file = read_questions(study.questions, study.limit)
    questions, notes = file.questions, []
    if file.warning:
        notes.append(file.warning)
        progress.say(file.warning)
    retriever = Retriever.open(study.store, study.encoder, query_encoder=study.query_encoder)
    # Before the search, which may take hours: what is wrong with a reader is said at once.
    reader = _reader(study)
    if study.method.name == "dense" and retriever.lexical is not None:
        progress.say(_DENSE)
    texts = [question.text for question in questions]
    asked = retriever.answerable(texts, views, study.method)
    if not asked.all():
        notes.append(_unasked(study, asked, questions, retriever.store.manifest.encoder.for_queries.name))
        progress.say(notes[-1])
    some = [text for text, one in zip(texts, asked.tolist(), strict=True) if one]
    rankings = [_in_place(asked, found) for found in _search(study, some, retriever, progress)]
    found_any = np.any([[bool(one.hits) for one in of_view] for of_view in rankings], axis=0)
    if (nothing := asked & ~found_any).any():
        notes.append(_of_questions(questions, nothing, "found no passage in any share of the store"))
        progress.say(notes[-1])
    sizes = [view_size(retriever.store, view) for view in views]
    points = _retrieval_points(study, questions, views, rankings, sizes, retriever.store)
    answers: list[dict[str, Any]] = []
    if reader:
        from pipelines.evaluate.answers import reader_points

        read, answers = reader_points(study, questions, rankings, sizes, retriever.store, reader, progress)
        points += read
    curve = Curve(study, tuple(points), tuple(notes))
    write(curve, answers)
    return curve


def _reader(study: Study) -> "Reader | None":
    if not study.reader:
        return None
    from lm.reader import TransformersReader

    return TransformersReader(study.reader, study.quantization)


def _search(
    study: Study, texts: Sequence[str], retriever: Retriever, progress: BuildProgress
) -> list[list[Ranking]]:
    """What each view finds for each question: [views][questions]."""
    found: list[list[Ranking]] = [[] for _ in study.views]
    depth, setting = min(DEPTH, retriever.store.rows), exhaustive(retriever)
    with shown(progress, "search", "questions", len(texts)):
        for at in range(0, len(texts), _TOGETHER):
            some = texts[at : at + _TOGETHER]
            views = retriever.search_many(
                some, study.views, max(DEPTHS_SHOWN), setting, method=study.method, depth=depth
            )
            for rankings, of_some in zip(found, views, strict=True):
                rankings += of_some
            progress.advance(len(some))
    return found


def _in_place(asked: NDArray[np.bool_], found: Sequence[Ranking]) -> list[Ranking]:
    """Rankings of all questions [n], of which those that were `asked` have found something."""
    rest = iter(found)
    return [next(rest) if one else Ranking((), True) for one in asked.tolist()]


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


def exhaustive(retriever: Retriever) -> Setting:
    """A search of all lists.

    A sample's best passages lie further out than the whole store's, so that probing some of the lists finds
    fewer of them: that would pass for a gain of the larger datastore.
    """
    return replace(retriever.setting(_JOINED), nprobe=retriever.index.nlist)


def view_size(store: Datastore, view: View) -> int:
    """How many passages a view keeps."""
    return int(store.mask(view).sum())


def _retrieval_points(
    study: Study,
    questions: Sequence[Question],
    views: Sequence[View],
    rankings: Sequence[Sequence[Ranking]],
    sizes: Sequence[int],
    store: Datastore,
) -> list[Point]:
    points = []
    for metric, asked in (
        ("recall", [i for i, q in enumerate(questions) if q.gold_docs]),
        ("containment", [i for i, q in enumerate(questions) if q.answers]),
    ):
        if not asked:
            continue
        ranks = np.array([[_rank(metric, questions[i], view[i]) for i in asked] for view in rankings])
        lengths = np.array([[len(view[i].hits) for i in asked] for view in rankings])
        for k in DEPTHS_SHOWN:
            values = ((ranks > 0) & (ranks <= k)).astype(np.float64)
            for fraction in study.fractions:
                mine = [n for n, view in enumerate(views) if view.fraction == fraction]
                short = int((lengths[mine] < k).sum())
                size = round(float(np.mean([sizes[n] for n in mine])))
                points.append(point(study, store, metric, k, fraction, values[mine], size, short))
    return points


def _rank(metric: str, question: Question, ranking: Ranking) -> int:
    if metric == "recall":
        return first_rank([hit.passage.doc_id in question.gold_docs for hit in ranking.hits])
    return first_rank([contains(hit.passage.text, question.answers) for hit in ranking.hits])


def point(
    study: Study,
    store: Datastore,
    metric: str,
    k: int,
    fraction: float,
    values: NDArray[np.float64],
    passages: int,
    short: int,
    reader_bytes: int = 0,
) -> Point:
    """A point from per-question values [seeds, questions]."""
    per_question = values.mean(axis=0)
    low, high = confidence(per_question)
    reads = bool(reader_bytes)
    return Point(
        metric=metric,
        k=k,
        fraction=fraction,
        seeds=len(values),
        passages=passages,
        value=float(per_question.mean()),
        low=low,
        high=high,
        n=len(per_question),
        short=short,
        manifest=store.hash,
        encoder=store.manifest.encoder.name,
        method=study.method.name,
        reader=(study.reader or "") if reads else "",
        quantization=study.quantization if reads else "",
        reader_bytes=reader_bytes,
    )


def as_columns(points: Sequence[Point]) -> dict[str, list[object]]:
    """Points as columns, for a table file."""
    rows = [asdict(p) for p in points]
    return {name: [row[name] for row in rows] for name in rows[0]}
