"""What embeddings, words and both together find: gold documents and answers among the first k.

    python benchmarks/methods.py STORE QUESTIONS... [--limit 1000]

The words-only method is bm25s's own formula over the same passages, so it stands for the peer that most
systems compare with.
"""

import argparse
import time
from pathlib import Path

from pipelines.evaluate.intervals import mean
from pipelines.evaluate.metrics import CONTAINMENT, SUCCESS
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from retriever.request import Method, Search

DEPTHS = (1, 5, 10, 20)
METHODS = (
    Method("dense"),
    Method("bm25"),
    Method("hybrid", "rrf"),
    Method("hybrid", "weighted", 0.3),
    Method("hybrid", "weighted", 0.5),
    Method("hybrid", "weighted", 0.7),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=1000)
    args = parser.parse_args()
    retriever = LocalRetriever.open(args.store)
    manifest = retriever.store.manifest
    print(f"{manifest.rows:,} passages, {manifest.index.key}, manifest {manifest.hash}")
    for path in args.questions:
        questions = read_questions(path, args.limit).questions
        metric = SUCCESS if questions[0].gold_docs else CONTAINMENT
        texts = [question.text for question in questions]
        print(f"\n{path.name}, n = {len(questions)}, {'gold' if questions[0].gold_docs else 'answer'} first")
        print(f"{'':<24}" + "".join(f"{k:>18}" for k in DEPTHS) + f"{'ms a query':>12}")
        for method in METHODS:
            started = time.perf_counter()
            rankings = retriever.search(texts, Search(max(DEPTHS), method=method))
            seconds = time.perf_counter() - started
            rights = [
                [metric.right(question, hit.passage) for hit in ranking.hits]
                for question, ranking in zip(questions, rankings, strict=True)
            ]
            cells = []
            for k in DEPTHS:
                found = mean(metric.values(questions, rights, k))
                cells.append(f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]")
            weight = f" {method.weight:g}" if method.fusion == "weighted" else ""
            name = method.name if method.name != "hybrid" else f"hybrid, {method.fusion}{weight}"
            print(
                f"{name:<24}" + "".join(f"{c:>18}" for c in cells) + f"{1000 * seconds / len(texts):>12.1f}"
            )


if __name__ == "__main__":
    main()
