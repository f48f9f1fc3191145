"""What should be searched for when a question goes on from earlier ones?

    python benchmarks/service/followups.py STORE QUESTIONS [--limit 300] [--rewritten 0] [--reader NAME]

Conversations are made of SQuAD's questions on one article. The first names the article by its title. In the
next two the title is replaced: by "its" where it stood in the genitive, else by "it". The third is searched
for. `shifts` are questions as they were written, behind two on another article: there, all that was said
before is noise. `chains` name what another question on the article has for an answer: they stand behind both,
and it is "it". Success@5: how often the paragraph of the answer is among the first five passages.

`rewritten`: for so many of each kind the reader is asked to write the question anew, for it takes seconds.
QUESTIONS (JSON lines: id, question, answers, gold_docs) may be compressed by zstd.
"""

import argparse
import json
import random
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from lm.facts import names
from lm.prompts import Message, Prompt
from lm.reader import Reader, Sampling
from lm.words import words
from retriever.opening import open_retriever
from retriever.request import Search
from retriever.retriever import Retriever
from serve.answering.queries import leans, query_of

K = 5
_ASKED = "Rewrite the last question so that it can be understood without the conversation. Write it alone."


@dataclass(frozen=True)
class Asked:
    """A question of an article, with one answer, and the paragraphs that it stands in."""

    article: str
    text: str
    answer: str
    gold: tuple[str, ...]


@dataclass(frozen=True)
class Talk:
    """Questions with answers, and the one that is searched for."""

    before: tuple[tuple[str, str], ...]
    question: str
    gold: tuple[str, ...]

    @property
    def history(self) -> list[Message]:
        turns = [(Message("user", asked), Message("assistant", said)) for asked, said in self.before]
        return [turn for both in turns for turn in both]


Way = Callable[[Talk], str]


def _named(talk: Talk) -> str:
    """The names in the user's questions before, and the question."""
    found = [word for asked, _ in talk.before for word in words(asked) if word in names(asked)]
    return " ".join([*dict.fromkeys(found), talk.question])


def _first(talk: Talk) -> str:
    return "\n".join([talk.before[0][0], talk.question])


def _if_it_leans(way: Way) -> Way:
    return lambda talk: way(talk) if leans(talk.question) else talk.question


WAYS: dict[str, Way] = {
    "the question alone": lambda talk: talk.question,
    "behind the user's question before": lambda talk: "\n".join([talk.before[-1][0], talk.question]),
    "behind all the user's questions": lambda talk: "\n".join([*(q for q, _ in talk.before), talk.question]),
    "behind the names in them": _named,
    "behind the answer before": lambda talk: "\n".join([talk.before[-1][1], talk.question]),
    "behind all that was said": lambda talk: "\n".join(
        [*(text for both in talk.before for text in both), talk.question]
    ),
    "if it leans: behind all questions": _if_it_leans(
        lambda talk: "\n".join([*(q for q, _ in talk.before), talk.question])
    ),
    "if it leans: behind the first": _if_it_leans(_first),
    "if it leans: behind the names": _if_it_leans(_named),
    "if it leans: behind all names said": lambda talk: query_of(talk.question, talk.history),
}


def questions(path: Path) -> list[Asked]:
    """The questions of a file."""
    found = []
    with zstandard.open(path, "rt") if path.suffix == ".zst" else open(path) as handle:
        for line in map(json.loads, handle):
            article = line["gold_docs"][0].split("/")[1].replace("_", " ")
            found.append(Asked(article, line["question"], line["answers"][0], tuple(line["gold_docs"])))
    return found


def titled(asked: Sequence[Asked]) -> list[Asked]:
    """Those that name their article by its title."""
    return [one for one in asked if _title(one.article).search(one.text)]


def _title(article: str) -> re.Pattern[str]:
    name = re.escape(re.sub(r"\s*\(.*\)", "", article))
    return re.compile(rf"\b(?:[Tt]he )?{name}(?P<genitive>['’]s|(?<=s)['’])?(?!\w)", re.IGNORECASE)


def leaning(one: Asked) -> str:
    """A question whose title is a pronoun."""
    return _title(one.article).sub(lambda found: "its" if found["genitive"] else "it", one.text)


def talks(asked: Sequence[Asked], limit: int, seed: int = 0) -> tuple[list[Talk], list[Talk]]:
    """Follow-up questions, and as many that go on to something else."""
    articles = defaultdict(list)
    for one in asked:
        articles[one.article].append(one)
    draw = random.Random(seed)
    threes = [
        draw.sample(some, 3) for some in articles.values() if len(some) >= 3 for _ in range(len(some) // 3)
    ]
    draw.shuffle(threes)
    threes = threes[:limit]
    follow, shift = [], []
    for at, (first, second, third) in enumerate(threes):
        before = (first.text, first.answer), (leaning(second), second.answer)
        follow.append(Talk(before, leaning(third), third.gold))
        other = next(one for one in (*threes[at + 1 :], *threes) if one[0].article != first.article)[2]
        shift.append(Talk(before, other.text, other.gold))
    return follow, shift


def chains(asked: Sequence[Asked], limit: int, seed: int = 0) -> list[Talk]:
    """Questions about what another one's answer named."""
    articles = defaultdict(list)
    for one in asked:
        articles[one.article].append(one)
    found = []
    for some in articles.values():
        for first, then in ((a, b) for a in some for b in some if a is not b and names(a.answer)):
            named = re.compile(rf"\b{re.escape(first.answer)}(?P<genitive>['’]s)?(?!\w)")
            if len(first.answer) > 4 and first.answer not in first.text and named.search(then.text):
                text = named.sub(lambda hit: "its" if hit["genitive"] else "it", then.text)
                found.append(Talk(((first.text, first.answer),), text, then.gold))
    random.Random(seed).shuffle(found)
    return list({talk.question: talk for talk in found}.values())[:limit]


def success(retriever: Retriever, queries: Sequence[str], some: Sequence[Talk]) -> float:
    """How often a paragraph that answers is among the first passages."""
    ranked = retriever.search(queries, Search(K))
    found = [
        any(hit.passage.doc_id in talk.gold for hit in one.hits)
        for one, talk in zip(ranked, some, strict=True)
    ]
    return sum(found) / len(found)


def rewritten(reader: Reader, some: Sequence[Talk]) -> list[str]:
    """Questions as a reader writes them anew."""
    asked = [
        Prompt.of(
            [Message("system", _ASKED), Message("user", f"{_said(talk)}\nLast question: {talk.question}")]
        )
        for talk in some
    ]
    return [one.text for one in reader.generate(asked, Sampling(48, stop=("\n",)))]


def _said(talk: Talk) -> str:
    return "\n".join(f"Question: {asked}\nAnswer: {said}" for asked, said in talk.before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store")
    parser.add_argument("questions", type=Path)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--ways", default="", help="those whose names a pattern finds; default: all")
    parser.add_argument("--rewritten", type=int, default=0)
    parser.add_argument("--reader", default=None)
    args = parser.parse_args()
    retriever = open_retriever(args.store)
    asked = questions(args.questions)
    sets = (*talks(titled(asked), args.limit), chains(asked, args.limit))
    sizes = [len(some) for some in sets]
    print(f"follow-ups, shifts and chains: {sizes}; {retriever.rows:,} passages", flush=True)
    for name, way in WAYS.items():
        if args.ways and not re.search(args.ways, name):
            continue
        each = [success(retriever, [way(talk) for talk in some], some) for some in sets]
        print(f"{name:<36}" + "".join(f"{one:>9.1%}" for one in each), flush=True)
    if args.rewritten:
        from lm.backends.reader_choice import ReaderChoice
        from lm.backends.registry import open_reader
        from lm.backends.weights import PLAIN_READER

        reader = open_reader(ReaderChoice(args.reader or PLAIN_READER))
        few = [some[: args.rewritten] for some in sets]
        each = [success(retriever, rewritten(reader, some), some) for some in few]
        print(f"{'written anew by ' + reader.name:<36}" + "".join(f"{one:>9.1%}" for one in each))
        each = [success(retriever, [query_of(t.question, t.history) for t in some], some) for some in few]
        print(f"{'the same ones as the service does':<36}" + "".join(f"{one:>9.1%}" for one in each))


if __name__ == "__main__":
    sys.exit(main())
