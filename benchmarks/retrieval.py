"""Does a store find the gold document as often as an exhaustive float32 search does?

    python benchmarks/retrieval.py STORE QUESTIONS.jsonl[.zst] [--limit 1000] [--peer RANKS.npy]

The peer is sentence-transformers' float32 encoder and a matrix product over all passages
(benchmarks/exhaustive.py). Embedding a large store again in float32 takes an hour on two cores, so the
peer's rows may come from a run elsewhere: `--export FOLDER` writes what that run needs.
"""

import argparse
import gzip
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent))

from exhaustive import search as exhaustive_search

from datastore.view import View
from pipelines.questions import Question, read_questions
from retriever.encoding.checkpoint import Checkpoint
from retriever.local import LocalRetriever
from retriever.opened import Wanted
from retriever.ranking.setting import Setting
from retriever.request import DENSE, Search

DEPTHS = (1, 5, 10, 20, 100)


def export(retriever: LocalRetriever, questions: Sequence[Question], folder: Path) -> None:
    """Write the inputs of benchmarks/exhaustive.py."""
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "passages.jsonl.gz", "wb") as handle:
        for passage in retriever.store:
            handle.write(orjson.dumps({"text": passage.text}) + b"\n")
    lines = [orjson.dumps({"question": question.text}) + b"\n" for question in questions]
    (folder / "questions.jsonl").write_bytes(b"".join(lines))


def found(rows: np.ndarray, documents: np.ndarray, questions: Sequence[Question], depth: int) -> float:
    """Share of questions with a gold document among the first `depth` rows."""
    hits = [
        any(documents[row] in question.gold_docs for row in best[:depth])
        for best, question in zip(rows, questions, strict=True)
    ]
    return float(np.mean(hits))


def setting(retriever: LocalRetriever, k: int) -> Setting:
    """The setting of a search for k hits."""
    found = retriever.settled(Search(k, method=DENSE)).effort
    assert isinstance(found, Setting)  # Of a settled search it is one.
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--peer", type=Path, help="rows that benchmarks/exhaustive.py found elsewhere")
    parser.add_argument("--export", type=Path, help="write that run's inputs here, and stop")
    args = parser.parse_args()
    retriever = LocalRetriever.open(args.store)
    questions = read_questions(args.questions, args.limit).questions
    if args.export:
        export(retriever, questions, args.export)
        return
    texts = [question.text for question in questions]
    passages = list(retriever.store)
    if args.peer:
        peer = np.load(args.peer)
    else:
        folder = Checkpoint.find(retriever.store.manifest.encoder.name).folder
        peer = exhaustive_search([p.text for p in passages], texts, str(folder), max(DEPTHS))
    vectors = retriever.encoder.encode_queries(texts)
    started = time.perf_counter()
    (ranked,) = retriever.session().rank(
        vectors, Wanted([View()], max(DEPTHS), setting(retriever, max(DEPTHS)))
    )
    ours = ranked.rows
    seconds = time.perf_counter() - started
    documents = np.array([p.doc_id for p in passages], dtype=object)
    manifest = retriever.store.manifest
    print(f"{manifest.rows:,} passages, {manifest.index.key}, {setting(retriever, 10)}, n = {len(texts)}")
    print(f"{'depth':>6} {'ours':>7} {'exhaustive':>11} {'difference':>11} {'overlap':>8}")
    for depth in DEPTHS:
        mine = found(ours, documents, questions, depth)
        theirs = found(peer, documents, questions, depth)
        pairs = zip(ours, peer, strict=True)
        overlap = np.mean([len({*a[:depth]} & {*b[:depth]}) / depth for a, b in pairs])
        print(f"{depth:>6} {mine:>7.1%} {theirs:>11.1%} {100 * (mine - theirs):>+9.1f}pt {overlap:>8.3f}")
    print(f"{len(texts) / seconds:,.0f} queries a second, encoding apart, k = {max(DEPTHS)}")


if __name__ == "__main__":
    main()
