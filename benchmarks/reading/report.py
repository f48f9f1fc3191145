"""Does a reader gain from what is found? Third of three steps: what was answered, as tables, and each aim.

    python benchmarks/reading/report.py plain.jsonl tuned.jsonl > report.md

Intervals are 95%, by bootstrap over clusters of questions that share a gold document; differences are paired.
Questions without expected answers are scored by abstention and by their K-precision: the share of an answer's
words, those of the question left out, that stand in the gold document (Adlakha et al. 2023); 0 for an
abstention. Fluent words that are anywhere score, too: only its differences say something.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm.abstention import abstains
from pipelines.evaluate.intervals import Score, clusters_of, difference, mean
from pipelines.evaluate.metrics import contains, exact_match, f1
from retriever.ranking.lexical import query_words

Line = dict[str, Any]
CONDITIONS = ("none", "random", "k=1", "k=3", "k=5", "gold", "without")
# What each condition is compared with, by all that it is scored by.
COMPARED = ("random", "k=1", "k=3", "k=5", "gold")
SUPPRESSED = "k=3, abstention suppressed"
PLAIN, TUNED = "plain", "tuned"


def k_precision(line: Line) -> float:
    """The share of an answer's words beyond the question's that stand in the gold document, stemmed."""
    words = set(query_words(line["answer"])) - set(query_words(line["question"]))
    if not words or abstains(line["answer"]):
        return 0.0
    return len(words & set(query_words(line["reference"]))) / len(words)


ABSTENTION: tuple[str, Callable[[Line], float]] = ("abstention", lambda line: abstains(line["answer"]))
BY_ANSWERS: dict[str, Callable[[Line], float]] = dict(
    [
        ("containment", lambda line: contains(line["answer"], line["answers"])),
        ("exact match", lambda line: exact_match(line["answer"], line["answers"])),
        ("F1", lambda line: f1(line["answer"], line["answers"])),
        ABSTENTION,
    ]
)
BY_DOCUMENTS: dict[str, Callable[[Line], float]] = dict([("K-precision", k_precision), ABSTENTION])


@dataclass(frozen=True)
class Answered:
    """What a reader answered in one condition, by question."""

    lines: dict[str, Line]
    # By metric: each is asked for in several tables.
    scored: dict[Callable[[Line], float], dict[str, float]] = field(default_factory=dict)

    def values(self, metric: Callable[[Line], float], ids: Sequence[str]) -> NDArray[np.float64]:
        """Scores of some questions [n]."""
        if metric not in self.scored:
            self.scored[metric] = {one: float(metric(line)) for one, line in self.lines.items()}
        return np.array([self.scored[metric][one] for one in ids])


@dataclass(frozen=True)
class Group:
    """Some questions, in all conditions, by all readers: [reader, condition] to what was answered."""

    name: str
    answered: dict[tuple[str, str], Answered]
    metrics: dict[str, Callable[[Line], float]]

    @classmethod
    def of(cls, name: str, lines: Sequence[Line], metrics: dict[str, Callable[[Line], float]]) -> "Group":
        """The lines of some questions."""
        found: dict[tuple[str, str], Answered] = {}
        for line in lines:
            condition = SUPPRESSED if line["suppressed"] else line["condition"]
            key = f"{line['dataset']}/{line['id']}"
            found.setdefault((line["reader"], condition), Answered({})).lines[key] = line
        return cls(name, found, metrics)

    @cached_property
    def questions(self) -> dict[str, Line]:
        """A line of each question."""
        return {one: line for answered in self.answered.values() for one, line in answered.lines.items()}

    @cached_property
    def clusters(self) -> dict[str, int]:
        """The cluster of each question."""
        numbers = clusters_of([line["gold_docs"] for line in self.questions.values()])
        return dict(zip(self.questions, numbers.tolist(), strict=True))

    @property
    def ways(self) -> list[tuple[str, str]]:
        """Readers and conditions, in the order of tables."""
        readers = dict.fromkeys(reader for reader, _ in self.answered)
        every = ((reader, condition) for reader in readers for condition in (*CONDITIONS, SUPPRESSED))
        return [way for way in every if way in self.answered]

    def _clusters(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self.clusters[one] for one in ids])

    def score(self, reader: str, condition: str, metric: str, told: bool | None = None) -> Score:
        """A metric's mean over the questions of a condition, or those whose passages (do not) tell."""
        answered = self.answered[reader, condition]
        ids = [one for one, line in answered.lines.items() if told is None or line["told"] == told]
        return mean(answered.values(self.metrics[metric], ids), self._clusters(ids))

    def gain(self, ours: tuple[str, str], theirs: tuple[str, str], metric: str) -> Score:
        """What one reader and condition gain over others, on the questions that both answered."""
        mine, other = self.answered[ours], self.answered[theirs]
        ids = [one for one in mine.lines if one in other.lines]
        score = self.metrics[metric]
        return difference(mine.values(score, ids), other.values(score, ids), self._clusters(ids))

    def still_answered(self, reader: str) -> Score:
        """Of the questions answered rightly with abstention suppressed, the share answered without that."""
        free, held = self.answered[reader, "k=3"], self.answered[reader, SUPPRESSED]
        right = BY_ANSWERS["containment"]
        ids = [one for one, line in held.lines.items() if one in free.lines and right(line)]
        values = 1 - free.values(BY_ANSWERS["abstention"], ids)
        return mean(values, self._clusters(ids))


def groups(lines: Sequence[Line]) -> list[Group]:
    """All questions that have answers, those among them whose gold document is in the store, and each set."""
    answered = [line for line in lines if line["answers"]]
    found = [
        Group.of("All questions with answers", answered, BY_ANSWERS),
        Group.of("Gold document in the store", [line for line in answered if line["in_store"]], BY_ANSWERS),
    ]
    for name in dict.fromkeys(line["dataset"] for line in lines):
        mine = [line for line in lines if line["dataset"] == name]
        scored = [line for line in mine if line["answers"]]
        found.append(Group.of(name, scored or mine, BY_ANSWERS if scored else BY_DOCUMENTS))
    return [group for group in found if group.answered]


def cell(score: Score, sign: str = "") -> str:
    """A score in per cent, with its interval."""
    value, low, high = (f"{100 * one:{sign}.1f}" for one in (score.value, score.low, score.high))
    return f"{value} [{low}, {high}]" if score.n else "no questions"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def scores(group: Group) -> str:
    """Each reader's scores in each condition, and how often the passages tell the answer."""
    rows = []
    for reader, condition in group.ways:
        lines = group.answered[reader, condition].lines.values()
        told = f"{100 * np.mean([line['told'] for line in lines]):.1f}"
        cells = [cell(group.score(reader, condition, metric)) for metric in group.metrics]
        rows.append([f"{reader}, {condition}", f"{len(lines):,}", told, *cells])
    return table(["reader, condition", "n", "told", *group.metrics], rows)


def reading(group: Group) -> str:
    """What each reader makes of passages that tell the answer, and of passages that do not."""
    first, rows = next(iter(group.metrics)), []
    for reader, condition in group.ways:
        if condition in CONDITIONS[1:]:
            each = [(first, True), ("abstention", True), (first, False), ("abstention", False)]
            found = [group.score(reader, condition, metric, told) for metric, told in each]
            rows.append([f"{reader}, {condition}", f"{found[0].n:,}", *map(cell, found)])
    columns = [f"{metric}, {told}" for told in ("told", "not told") for metric in (first, "abstention")]
    return table(["reader, condition", "n told", *columns], rows)


def gains(group: Group) -> str:
    """Paired differences: each condition less none, and the tuned reader less the plain one."""
    pairs = [
        ((reader, condition), (reader, "none"), f"{reader}: {condition} - none")
        for reader in dict.fromkeys(reader for reader, _ in group.ways)
        for condition in COMPARED
    ]
    pairs += [
        ((TUNED, condition), (PLAIN, condition), f"{condition}: {TUNED} - {PLAIN}")
        for condition in CONDITIONS
    ]
    rows = [
        [name, *(cell(group.gain(ours, theirs, metric), "+") for metric in group.metrics)]
        for ours, theirs, name in pairs
        if ours in group.answered and theirs in group.answered
    ]
    return table(["difference", *group.metrics], rows)


@dataclass(frozen=True)
class Aim:
    """What is aimed at, what was measured, and the least that meets it, in per cent."""

    text: str
    least: float
    measured: Score

    def row(self) -> list[str]:
        """Its row in the table of aims."""
        met = self.measured.n and round(100 * self.measured.value, 9) >= self.least
        return [
            self.text,
            f"{self.least:+g}",
            cell(self.measured, "+"),
            f"{self.measured.n:,}",
            "met" if met else "missed",
        ]


def aims(every: Group, stored: Group | None) -> Iterator[Aim]:
    """The aims, as far as what they compare was answered."""
    tuned, metric = {condition for reader, condition in every.answered if reader == TUNED}, "containment"

    def gain(group: Group, condition: str, reader: str = TUNED, other: str = "none") -> Score:
        return group.gain((TUNED, condition), (reader, other), metric)

    for k in ("k=1", "k=3", "k=5"):
        if stored and {k, "none"} <= tuned:
            yield Aim(f"containment, gold document in the store: {k} - none", 20, gain(stored, k))
    if "none" in tuned and (PLAIN, "none") in every.answered:
        yield Aim("containment without passages: tuned - plain", -1, gain(every, "none", PLAIN))
    if {"random", "none"} <= tuned:
        yield Aim("containment: random - none", -2, gain(every, "random"))
    if "without" in tuned:
        yield Aim("abstains, answers taken out", 60, every.score(TUNED, "without", "abstention"))
    if SUPPRESSED in tuned:
        yield Aim(
            "still answered, of those right with abstention suppressed", 90, every.still_answered(TUNED)
        )


def heading(group: Group) -> str:
    """How many questions there are and how often search finds their documents."""
    asked = list(group.questions.values())
    text = f"{len(asked):,} questions in {len(set(group.clusters.values())):,} clusters"
    stored = [line for line in asked if line["in_store"]]
    if stored:
        ranks = [line["gold_rank"] or np.inf for line in stored]
        found = ", ".join(
            f"{100 * np.mean([rank <= k for rank in ranks]):.1f} among the first {k}" for k in (1, 3, 5)
        )
        text += f"; of {len(stored):,} the gold document is in the store, per cent found: {found}"
    return text


def report(lines: Sequence[Line]) -> str:
    """All as a Markdown page."""
    parts = groups(lines)
    by_name = {group.name: group for group in parts}
    every, stored = by_name.get("All questions with answers"), by_name.get("Gold document in the store")
    readers = dict.fromkeys(f"{one['reader']}: {one['name']}, {one['quantization']}" for one in lines)
    stores = ", ".join(dict.fromkeys(f"`{one['store']}`, {one['method']}" for one in lines))
    page = ["# Does the reader gain?", f"Readers: {'; '.join(readers)}. Store: manifest {stores}."]
    if every:
        rows = [aim.row() for aim in aims(every, stored)]
        if rows:
            page += ["## Aims", table(["aim", "at least", "measured", "n", ""], rows)]
    page.append(
        "Per cent of questions, with 95% intervals by bootstrap over clusters of questions. `told`: an "
        "answer stands in the passages or their titles; of a question without answers: one of them is of a "
        "gold document."
    )
    shown: set[frozenset[str]] = set()
    for group in parts:
        # Of groups that are the same questions, the first.
        if (asked := frozenset(group.questions)) in shown:
            continue
        shown.add(asked)
        page += [f"## {group.name}", f"{heading(group)}.", scores(group), reading(group), gains(group)]
    return "\n\n".join(page) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("answers", type=Path, nargs="+")
    args = parser.parse_args()
    lines = [json.loads(line) for path in args.answers for line in path.read_text().splitlines()]
    print(report(lines), end="")


if __name__ == "__main__":
    main()
