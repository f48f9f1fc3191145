"""What a whole scaling curve costs beside one of its points: search once, answer for all views.

    python benchmarks/views.py STORE QUESTIONS [--queries 500] [--index-key KEY] [--threads 1] [--study]

Seven fractions, three seeds each, k hits each; the point compared with is the smallest fraction alone, which
must be searched as deep as the curve, and, beside it, what 19 separate searches take. Law 2 is checked on the
way: every view's hits are those of its own search. With --study the same of a whole study of retrieval, in
CPU seconds: encoding, search, reading what is found, and every metric.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np

from datastore.store import Datastore
from datastore.view import View
from pipelines.evaluate.study.arms import arms_of
from pipelines.evaluate.study.finding.judging import Judge, allowed
from pipelines.evaluate.study.finding.searching import Finder
from pipelines.evaluate.study.settings import study_of
from pipelines.evaluate.study.tasks import Task
from pipelines.evaluate.tables import Basis
from pipelines.execution.progress import Silent
from pipelines.questions import read_questions
from retriever.encoding.encoder import Encoder
from retriever.index.faiss_index import SearchIndex, train
from retriever.index.loading import in_memory
from retriever.index.sizing import IndexKey
from retriever.local import LocalRetriever
from retriever.opened import OpenedStore, Wanted
from retriever.request import DENSE, Effort, Search

FRACTIONS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)
SEEDS = 3
K = 10
DEPTH = 100
REPEATS = 3


def with_index(store: Datastore, text: str | None) -> LocalRetriever:
    """A retriever of a store's vectors under another index key than its own."""
    if text is None:
        index = in_memory(store.layout.root, store.manifest)
    else:
        vectors = np.concatenate(list(store.shard_vectors())).astype(np.float32)
        key = IndexKey.parse(text)
        built = train(key, vectors[:: max(1, len(vectors) // max(1, key.training_rows))])
        built.add(vectors)
        index = SearchIndex(built, key)
    return LocalRetriever(OpenedStore(store, encoder=Encoder.open(store.manifest.encoder), index=index))


def study_seconds(retriever: LocalRetriever, task: Task, fractions: Sequence[float]) -> float:
    """CPU seconds of a study of retrieval in shares of a store."""
    study = study_of({"store": "", "tasks": ["any"], "fractions": fractions, "seeds": SEEDS})
    arms, metrics = arms_of(study), allowed(task, ())
    judge, finder = (
        Judge(task, study, metrics),
        Finder(retriever, arms, max(max(one.depths) for one in metrics), 50),
    )
    started = time.process_time()
    for batch in finder.batches(task.questions, Silent()):
        judge.take(batch)
    judge.results(dict.fromkeys(arms, Basis()))
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--index-key")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--study", action="store_true", help="measure whole studies, too")
    args = parser.parse_args()
    retriever = with_index(Datastore.open(args.store), args.index_key)
    faiss.omp_set_num_threads(args.threads)
    questions = read_questions(args.questions, args.queries).questions
    texts = [question.text for question in questions]
    vectors = retriever.encoder.encode_queries(texts)
    effort = Effort(depth=0 if retriever.index.key.exact else DEPTH)
    setting = retriever.settled(Search(K, effort=effort, method=DENSE)).effort
    views = [View(f, seed) for f in FRACTIONS for seed in range(SEEDS if f < 1 else 1)]
    rows, wanted = retriever.session(), Wanted(views, K, setting)
    rows.rank(vectors[:32], wanted)  # Warm.
    times: dict[str, list[float]] = {"curve": [], "one point": [], "each apart": []}
    for _ in range(REPEATS):
        started = time.perf_counter()
        together = rows.rank(vectors, wanted)
        times["curve"].append(time.perf_counter() - started)
        started = time.perf_counter()
        rows.rank(vectors, replace(wanted, views=views[:1]))
        times["one point"].append(time.perf_counter() - started)
        started = time.perf_counter()
        apart = [rows.rank(vectors, replace(wanted, views=[view]))[0] for view in views]
        times["each apart"].append(time.perf_counter() - started)
    for view, one, other in zip(views, together, apart, strict=True):
        assert np.array_equal(one.rows, other.rows), view
        assert np.array_equal(one.scores, other.scores), view
    curve, point, each = (min(seconds) for seconds in times.values())
    print(f"{retriever.store.rows:,} passages, {retriever.index.key.text}, {setting}, n = {len(texts)}")
    print(f"{len(views)} views together: {curve:.2f} s, the same hits as apart")
    print(f"smallest view alone: {point:.2f} s, the curve costs {curve / point:.2f} times as much")
    print(f"each view apart: {each:.2f} s, {each / curve:.1f} times the curve")
    if args.study:
        task = Task("questions", questions)
        study_seconds(retriever, Task("warm", questions[:8]), FRACTIONS[:1])
        one, whole = (study_seconds(retriever, task, some) for some in (FRACTIONS[-1:], FRACTIONS))
        print(
            f"a study of one point: {one:.2f} s, of all {len(views)}: {whole:.2f} s, {whole / one:.2f} times"
        )


if __name__ == "__main__":
    main()
