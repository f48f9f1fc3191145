"""When should a reader say that it does not know? What each signal knows of whether an answer is right.

    python benchmarks/reading/answers.py prompts.jsonl.gz --sure --label tuned --out sure.jsonl
    python benchmarks/reading/abstention.py --dev PROMPTS SURE --report PROMPTS SURE [--store STORE]

Each question is answered without leave to abstain, from the first three passages found (`k=3`) and from the
first three of those that do not hold the answer (`without`). An answer is right if it holds an expected one;
one from passages that do not tell is seldom so. Signals, all but the last known before the first token:
`abstention`, one less the probability that the answer begins an abstention; of a STORE, `dense`, `bm25` and
`hybrid`: the score of the first passage, and `margin`, of the hybrid score over the fourth's; `words`: the
share of the answer's content words that a passage holds. `both` is a logistic regression of all, fitted on
dev. The area under the curve (AUC) is how often a right answer has a higher value than a wrong one.

The bound is chosen on dev: the highest of a probability of abstention below which half of the answers are
right, over both conditions. Report's figures are those of other questions.
"""

import argparse
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

from lm.citations import Citer
from pipelines.evaluate.metrics import contains
from retriever.local import LocalRetriever
from retriever.request import Method, MethodName, Search
from serve.answering.answerer import source_of

CONDITIONS = ("k=3", "without")
METHODS: tuple[MethodName, ...] = ("dense", "bm25", "hybrid")
# So deep that passages without an answer are among them.
DEPTH = 100
TOGETHER = 64
BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7)
HALF = 0.5
Line = Mapping[str, Any]
Vector = NDArray[np.float64]


@dataclass
class Answers:
    """The answers of one set: their lines, whether each is right, and the value that each signal gives it."""

    lines: Sequence[Line]
    right: NDArray[np.bool_]
    signals: dict[str, Vector] = field(default_factory=dict)

    @property
    def doubts(self) -> Vector:
        """How likely an abstention was in place of each answer."""
        return np.array([line["p"] for line in self.lines])

    def of(self, condition: str) -> "Answers":
        """Those of one condition."""
        chosen = np.array([line["condition"] == condition for line in self.lines])
        lines = [line for line, there in zip(self.lines, chosen, strict=True) if there]
        signals = {name: values[chosen] for name, values in self.signals.items()}
        return Answers(lines, self.right[chosen], signals)


def auc(values: Vector, right: NDArray[np.bool_]) -> float:
    """How often a right answer has a higher value than a wrong one; equals count half."""
    good, bad = int(right.sum()), int((~right).sum())
    ranks = rankdata(values)
    return (
        float((ranks[right].sum() - good * (good + 1) / 2) / (good * bad)) if good and bad else float("nan")
    )


def read(path: Path) -> list[Line]:
    """The lines of a file that are of the conditions."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        lines = [json.loads(line) for line in file]
    return [line for line in lines if line["condition"] in CONDITIONS]


def key(line: Line) -> tuple[str, str, str]:
    """What a prompt and its answer have in common."""
    return line["dataset"], line["id"], line["condition"]


def words(line: Line, prompt: Line) -> float:
    """The share of an answer's content words that one passage of its prompt holds."""
    passages = prompt["conversation"][-1]["content"].split("\n\n")
    citer = Citer([one for one in passages if one.startswith("[")])
    citer.cite(line["answer"])
    return max((max(claim.shares, default=0.0) for claim in citer.claims), default=0.0)


def answers(prompts: Path, sure: Path, retriever: LocalRetriever | None) -> Answers:
    """A set's answers with their signals."""
    asked = {key(one): one for one in read(prompts)}
    lines = [line for line in read(sure) if "p" in line]
    right = np.array([contains(line["answer"], line["answers"]) for line in lines])
    found = Answers(lines, right)
    found.signals["abstention"] = 1 - found.doubts
    found.signals["words"] = np.array([words(line, asked[key(line)]) for line in lines])
    if retriever is not None:
        scores = dict(scored(retriever, {line["question"]: line["answers"] for line in lines}))
        each = [scores[line["question"], line["condition"]] for line in lines]
        found.signals |= {name: np.array([one[name] for one in each]) for name in each[0]}
    return found


def scored(
    retriever: LocalRetriever, expected: Mapping[str, Sequence[str]]
) -> Iterator[tuple[tuple[str, str], dict[str, float]]]:
    """By question and condition: the score of the first passage by each method, and the margin."""
    questions = list(expected)
    for at in range(0, len(questions), TOGETHER):
        some = questions[at : at + TOGETHER]
        each = [retriever.search(some, Search(DEPTH, method=Method(name))) for name in METHODS]
        for question, *rankings in zip(some, *each, strict=True):
            for condition in CONDITIONS:
                tops: dict[str, float] = {}
                for name, ranking in zip(METHODS, rankings, strict=True):
                    seen = [(hit.score, source_of(hit)) for hit in ranking.hits]
                    scores = [
                        score
                        for score, one in seen
                        if condition != "without"
                        or not contains(f"{one.title}\n{one.text}", expected[question])
                    ]
                    tops[name] = scores[0] if scores else 0.0
                    margin = scores[0] - scores[3] if len(scores) > 3 else 0.0
                yield (question, condition), tops | {"margin": margin}


def fitted(dev: Answers) -> Callable[[Answers], Vector]:
    """A logistic regression of all signals, each scaled by dev's mean and deviation."""
    names = list(dev.signals)
    table = np.stack([dev.signals[name] for name in names], axis=1)
    mean, spread = table.mean(0), table.std(0) + 1e-9

    def columns(some: Answers) -> Vector:
        scaled = (np.stack([some.signals[name] for name in names], axis=1) - mean) / spread
        return np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)

    wanted, given = np.where(dev.right, 1.0, -1.0), columns(dev)

    def loss(weights: Vector) -> float:
        return float(np.logaddexp(0, -wanted * (given @ weights)).sum() + 0.5 * (weights**2).sum())

    weights = minimize(loss, np.zeros(given.shape[1]), method="BFGS").x
    return lambda some: columns(some) @ weights


def chosen(dev: Answers) -> float:
    """The highest hundredth of a probability of abstention below which half of the answers are right."""
    able = [at / 100 for at in range(1, 101) if share(dev, at / 100)[1] >= HALF]
    return max(able, default=0.01)


def share(some: Answers, bound: float) -> tuple[float, float, float]:
    """The share that is answered below a bound, how many of these are right, how many of all right ones they
    are.
    """
    kept = some.doubts < bound
    good = int((some.right & kept).sum())
    return float(kept.mean()), good / max(1, int(kept.sum())), good / max(1, int(some.right.sum()))


def show(dev: Answers, report: Answers) -> Iterator[str]:
    """The tables."""
    yield "| signal | AUC, dev | AUC, report | report, `k=3` | report, `without` |"
    yield "|---|---:|---:|---:|---:|"
    together = fitted(dev)
    for some in (dev, report):
        some.signals["both"] = together(some)
    parts = [dev, report, *(report.of(one) for one in CONDITIONS)]
    for name in dev.signals:
        yield f"| {name} | " + " | ".join(f"{auc(one.signals[name], one.right):.3f}" for one in parts) + " |"
    bound = chosen(dev)
    yield f"\nChosen on dev: {bound:.2f}.\n"
    heads = ["answered, dev", "right", "answered, report", "right", "of all right ones"]
    heads += [one for name in CONDITIONS for one in (f"answered, `{name}`", "right")]
    yield f"| below | {' | '.join(heads)} |"
    yield "|---" + "|---:" * len(heads) + "|"
    for at in sorted({*BOUNDS, bound, 1.01}):
        (most, good, _), (other, best, kept) = share(dev, at), share(report, at)
        cells = [most, good, other, best, kept]
        for condition in CONDITIONS:
            cells += share(report.of(condition), at)[:2]
        yield f"| {at:.2f} | " + " | ".join(f"{100 * one:.1f}" for one in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("dev", "report"):
        parser.add_argument(f"--{name}", type=Path, nargs=2, required=True, metavar=("PROMPTS", "SURE"))
    parser.add_argument("--store", type=Path, help="where the passages were found: scores are signals, too")
    args = parser.parse_args()
    retriever = None if args.store is None else LocalRetriever.open(args.store)
    dev, report = (answers(prompts, sure, retriever) for prompts, sure in (args.dev, args.report))
    print("\n".join(show(dev, report)))


if __name__ == "__main__":
    main()
