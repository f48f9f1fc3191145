"""Does a reader gain from what is found? First of three steps: every question in every condition, as prompts.

    python benchmarks/reading/prompts.py STORE QUESTIONS... --out prompts.jsonl.gz [--held-out FILE]

Conditions: `none`; `random`, three passages of the store; `k=1`, `k=3`, `k=5`, the first that the server's
search finds; `gold`, the passages of the gold documents, in their order; `without`, the first three found of
those that do not tell the answer: that do not hold it or, where a question has no answers, are of no gold
document. All are packed and put to the reader as the server does it, with the reader's tokenizer.

`answers.py` has readers answer them, on another machine if need be; `report.py` says what they gain.
"""

import argparse
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson

from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.backends.weights import DEFAULT_READER
from lm.conditioning import DEFAULT_PASSAGES, Conditioning, Request, condition
from lm.prompts import Prompt, prompts_of
from lm.reader import Reader
from pipelines.evaluate.metrics import contains
from pipelines.questions import Question, read_questions
from retriever.local import LocalRetriever
from retriever.request import Search
from retriever.results import Hit
from serve.answering.answerer import source_of

FOUND = (1, 3, 5)
# So deep that three passages without an answer are among them.
DEPTH = 100
TOGETHER = 64
# Of a gold document, in characters: what an answer without an expected one is compared with.
REFERENCE = 8000


@dataclass(frozen=True)
class Case:
    """A question with all that its conditions are made of, best passage first."""

    question: Question
    dataset: str
    found: tuple[Passage, ...]
    gold: tuple[Passage, ...]
    random: tuple[Passage, ...]

    def conditions(self) -> Iterator[tuple[str, tuple[Passage, ...]]]:
        """Each condition's name and passages."""
        yield "none", ()
        yield "random", self.random
        for k in FOUND:
            yield f"k={k}", self.found[:k]
        if self.gold:
            yield "gold", self.gold
        yield "without", tuple(one for one in self.found if not self._tells(one))[:DEFAULT_PASSAGES]

    def _tells(self, passage: Passage) -> bool:
        """Whether the reader could read the answer in it, be it in the title."""
        if self.question.answers:
            seen = source_of(Hit(0, 0.0, passage))
            return contains(f"{seen.title}\n{seen.text}", self.question.answers)
        return passage.doc_id in self.question.gold_docs

    def about(self) -> dict[str, object]:
        """What its lines say of the question. Without gold documents nobody knows whether they are there."""
        gold, rank = self.question.gold_docs, None
        if gold:
            rank = next((at for at, one in enumerate(self.found, 1) if one.doc_id in gold), None)
        text = "\n".join(one.text for one in self.gold)
        return {
            "id": self.question.id,
            "dataset": self.dataset,
            "question": self.question.text,
            "answers": self.question.answers,
            "gold_docs": sorted(gold),
            "in_store": bool(self.gold) if gold else None,
            "gold_rank": rank,
            "reference": "" if self.question.answers else text[:REFERENCE],
        }

    def lines(self, reader: Reader) -> Iterator[dict[str, object]]:
        """A line for each condition."""
        about = self.about()
        for name, passages in self.conditions():
            prompt, packed = written(reader, self.question, passages)
            yield about | {
                "condition": name,
                "passages": prompt.passages,
                "told": self._told(packed, passages),
                "conversation": [asdict(turn) for turn in prompt.conversation],
            }

    def _told(self, packed: Sequence[str], passages: Sequence[Passage]) -> bool:
        """Whether what the reader sees of the passages tells the answer."""
        if self.question.answers:
            # Without its number, which would pass for the answer to some questions.
            return any(contains(one.partition("] ")[2], self.question.answers) for one in packed)
        return any(self._tells(one) for one in passages[: len(packed)])


def written(
    reader: Reader, question: Question, passages: Sequence[Passage]
) -> tuple[Prompt, tuple[str, ...]]:
    """The prompt of a question, and the passages as they stand in it: as `serve/answerer.py` does it."""
    sources = [source_of(Hit(0, 0.0, one)) for one in passages]
    found = condition(Conditioning(passages=len(passages)), Request(question.text), sources, reader)
    (prompt,) = prompts_of(found.asked)
    return prompt, found.packed


def chosen(path: Path, held_out: Path | None, limit: int | None, seed: int) -> list[Question]:
    """The questions of a file that are held out, or so many of them, drawn at random and left in their order.

    `held_out` is JSON, `{"held_out": [...]}`: beginnings of the ids of those that nothing was tuned on.
    """
    questions = list(read_questions(path).questions)
    if held_out is not None:
        beginnings = tuple(orjson.loads(held_out.read_bytes())["held_out"])
        questions = [one for one in questions if one.id.startswith(beginnings)]
    if limit is None or limit >= len(questions):
        return questions
    drawn = np.random.default_rng(seed).choice(len(questions), limit, replace=False)
    return [questions[at] for at in sorted(drawn.tolist())]


def documents(store: Datastore, ids: set[str]) -> Mapping[str, list[Passage]]:
    """The passages of some documents, in their order."""
    found: dict[str, list[Passage]] = {}
    for passage in store:
        if passage.doc_id in ids:
            found.setdefault(passage.doc_id, []).append(passage)
    return found


def cases(
    retriever: LocalRetriever, dataset: str, questions: Sequence[Question], seed: int
) -> Iterator[Case]:
    """Search for the questions of a set."""
    store = retriever.store
    rows = np.flatnonzero(store.mask(View()))
    gold = documents(store, {one for question in questions for one in question.gold_docs})
    random = np.random.default_rng(seed)
    for at in range(0, len(questions), TOGETHER):
        some = questions[at : at + TOGETHER]
        rankings = retriever.search([one.text for one in some], Search(min(DEPTH, len(rows))))
        for question, ranking in zip(some, rankings, strict=True):
            yield Case(
                question,
                dataset,
                tuple(hit.passage for hit in ranking.hits),
                tuple(one for id in sorted(question.gold_docs) for one in gold.get(id, [])),
                tuple(store.passage(int(row)) for row in random.choice(rows, DEFAULT_PASSAGES)),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, help="a file of what nothing was tuned on: that alone")
    parser.add_argument("--limit", type=int, help="questions of each file, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", default=DEFAULT_READER)
    args = parser.parse_args()
    retriever = LocalRetriever.open(args.store)
    reader = open_reader(ReaderChoice(args.reader, "none"))
    about = {"store": retriever.hash, "method": str(retriever.settled(Search()).method.name)}
    opened = gzip.open if args.out.suffix == ".gz" else open
    with opened(args.out, "wb") as out:
        for path in args.questions:
            questions = chosen(path, args.held_out, args.limit, args.seed)
            dataset = path.name.split(".")[0].removeprefix("qa_")
            for case in cases(retriever, dataset, questions, args.seed):
                for line in case.lines(reader):
                    out.write(orjson.dumps(line | about, option=orjson.OPT_APPEND_NEWLINE))
            print(f"{dataset}: {len(questions):,} questions")


if __name__ == "__main__":
    main()
