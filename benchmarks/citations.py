"""Does what a passage does to the reader say which passage an answer stands in, better than words in common?

    python benchmarks/citations.py QUESTIONS CORPUS [--questions 50] [--reader NAME] [--adapter FOLDER]

Each question is answered rightly and read with three passages of one article, in an order drawn by seed: its
own and two others. Those are once the two likest to the question, and once two that hold the answer's words,
too, but do not answer the question. By each measure the passage of the highest value is picked; of equals the
first. `both` goes by words, and of equals by the gain. `AUC`: how often a passage that answers has a higher
value than one that does not.

QUESTIONS (JSON lines: question, answers, gold_docs) and CORPUS (id, title, text) may be compressed by zstd.
"""

import argparse
import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import zstandard

from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.backends.weights import PLAIN_READER
from lm.citations import Citer
from lm.conditioning import Conditioning, Request, Source, pack
from lm.conditioning.wording import write
from lm.reader import Continuation, Reader, Sampling
from lm.support import support_of
from lm.words import content_words

OTHERS = 2
MEASURES = ("words", "gain", "both", "loss")
# Far less than one word of an answer more.
_TIES = 1e-4


@dataclass(frozen=True)
class Case:
    """A question with its answer, packed passages, and which of them answers it."""

    request: Request
    answer: str
    packed: list[str]
    gold: int


class Corpus:
    """Passages by article, and how much their words say."""

    def __init__(self, passages: Sequence[dict[str, Any]]) -> None:
        self.passages = {one["id"]: one for one in passages}
        self.words = {key: content_words(one["text"]) for key, one in self.passages.items()}
        counts = Counter(word for words in self.words.values() for word in words)
        self._weights = {word: math.log(len(self.words) / n) for word, n in counts.items()}
        self._articles = defaultdict(list)
        for key, one in self.passages.items():
            self._articles[one["title"]].append(key)

    def beside(self, gold: str, question: str) -> list[str]:
        """The other passages of an article, the likest to a question first."""
        asked = content_words(question)
        others = [key for key in self._articles[self.passages[gold]["title"]] if key != gold]
        return sorted(others, key=lambda key: -sum(self._weights[w] for w in asked & self.words[key]))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file."""
    with zstandard.open(path, "rt") if path.suffix == ".zst" else open(path) as handle:
        yield from map(json.loads, handle)


def cases(asked: Sequence[dict[str, Any]], corpus: Corpus, holding: bool, reader: Reader) -> Iterator[Case]:
    """Questions with their passages; `holding`: the others hold the answer's words, too."""
    order = random.Random(0)
    for one in order.sample(asked, len(asked)):
        gold, answer = one["gold_docs"][0], one["answers"][0]
        words = content_words(answer)
        if not words or not words <= corpus.words[gold]:
            continue
        others = corpus.beside(gold, one["question"])
        if holding:
            others = [key for key in others if words <= corpus.words[key]]
        if len(others) < OTHERS:
            continue
        keys = order.sample([gold, *others[:OTHERS]], OTHERS + 1)
        sources = [Source(corpus.passages[k]["title"], corpus.passages[k]["text"]) for k in keys]
        packed = pack(sources, reader.count_tokens, 1500)
        if len(packed) == len(keys):
            yield Case(Request(one["question"]), answer, packed, keys.index(gold))


def values(reader: Reader, case: Case, losses: bool) -> dict[str, list[float]]:
    """What each measure says of each passage."""
    prompt = partial(write, Conditioning(), case.request)
    citer = Citer(case.packed)
    citer.cite(case.answer)
    found = support_of(citer, case.packed, prompt, reader)
    rows = {"words": [one[0].words for one in found], "gain": [one[0].gain or 0.0 for one in found]}
    rows["both"] = [words + gain * _TIES for words, gain in zip(rows["words"], rows["gain"], strict=True)]
    if losses:
        rows["loss"] = loss(reader, case)
    return rows


def loss(reader: Reader, case: Case) -> list[float]:
    """By how many bits a token the answer is less likely once a passage is taken out of the whole prompt."""
    prompt = partial(write, Conditioning(), case.request)
    left = [case.packed[:at] + case.packed[at + 1 :] for at in range(len(case.packed))]
    scored = reader.loglikelihood([Continuation(prompt(some), case.answer) for some in (case.packed, *left)])
    whole, *rest = (one.total / math.log(2) / len(one.tokens) for one in scored)
    return [whole - one for one in rest]


def report(name: str, rows: Sequence[dict[str, list[float]]], gold: Sequence[int]) -> None:
    """Print how often each measure picks the passage that answers, with the 95% half-width, and its AUC."""
    for measure in MEASURES:
        if measure not in rows[0]:
            continue
        picked = [max(range(len(row[measure])), key=lambda i: (row[measure][i], -i)) for row in rows]
        share = sum(a == b for a, b in zip(picked, gold, strict=True)) / len(rows)
        right = [row[measure][g] for row, g in zip(rows, gold, strict=True)]
        wrong = [v for row, g in zip(rows, gold, strict=True) for i, v in enumerate(row[measure]) if i != g]
        auc = sum((a > b) + (a == b) / 2 for a, b in product(right, wrong)) / len(right) / len(wrong)
        half = 1.96 * math.sqrt(share * (1 - share) / len(rows))
        means = f"{sum(right) / len(right):6.2f} {sum(wrong) / len(wrong):6.2f}"
        print(
            f"{name:>12} {measure:>6} {len(rows):4} {share:7.1%} ±{half:5.1%} {auc:6.3f} {means}", flush=True
        )


def cost(reader: Reader, some: Sequence[Case], longest: int) -> None:
    """Print what measuring support takes, against writing the answers, of `longest` tokens at most."""
    writing = measuring = 0.0
    tokens = 0
    for case in some:
        prompt = partial(write, Conditioning(), case.request)
        started = time.perf_counter()
        (found,) = reader.generate([prompt(case.packed)], Sampling(longest, stop=("\n\n",)))
        writing += time.perf_counter() - started
        tokens += found.tokens
        citer = Citer(case.packed)
        citer.cite(found.text)
        started = time.perf_counter()
        support_of(citer, case.packed, prompt, reader)
        measuring += time.perf_counter() - started
    n = len(some)
    print(
        f"an answer of {tokens / n:.0f} tokens takes {writing / n:.2f} s, its support {measuring / n:.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("asked", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--timed", type=int, default=10)
    parser.add_argument("--losses", action="store_true", help="measure leave-one-out, too: twice the time")
    parser.add_argument("--reader", default=PLAIN_READER)
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--adapter")
    args = parser.parse_args()
    reader = open_reader(ReaderChoice(args.reader, args.quantization, args.adapter))
    asked, corpus = list(lines(args.asked)), Corpus(list(lines(args.corpus)))
    print(f"{'others':>12} {'by':>6} {'n':>4} {'picked':>7}        {'AUC':>6} {'right':>6} {'wrong':>6}")
    for name, holding in (("like it", False), ("hold it", True)):
        found = cases(asked, corpus, holding, reader)
        some = [case for case, _ in zip(found, range(args.questions), strict=False)]
        report(name, [values(reader, case, args.losses) for case in some], [case.gold for case in some])
    for longest in (4, Sampling().max_tokens):
        cost(reader, some[: args.timed], longest)


if __name__ == "__main__":
    main()
