"""What texts score in strides: each behind passages that are found by the text before it, or behind none.

As many tokens stand before a stride with passages as without.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from base.errors import RalmError
from lm.reader import Reader, TokenReader
from pipelines.evaluate.perplexity.strides import NOTHING, Front, Pace, Step, steps
from pipelines.execution.progress import BuildProgress, shown
from retriever.request import Search
from retriever.results import Hit
from retriever.retriever import Retriever
from serve.answering.answerer import source_of

# Strides that are searched for and scored together.
_TOGETHER = 128


@dataclass(slots=True)
class Total:
    """The log-probability of a text in nats, over so many `tokens` in so many `strides`.

    `bare` strides had no passage in front, the others `passage_tokens` together.
    """

    nats: float = 0.0
    tokens: int = 0
    strides: int = 0
    bare: int = 0
    passage_tokens: int = 0

    def add(self, step: Step, front: Front, nats: float) -> None:
        """Count a stride."""
        self.nats += nats
        self.tokens += step.end - step.done
        self.strides += 1
        self.bare += not front.passages
        self.passage_tokens += len(front.ids)


def require_token_reader(reader: Reader) -> TokenReader:
    """A reader in whose tokens texts can be put together. Raises RalmError for another."""
    if isinstance(reader, TokenReader):
        return reader
    raise RalmError(
        f"{reader.name} does not give its tokens, by which windows are measured: choose a reader that runs "
        "in this process."
    )


@dataclass(frozen=True)
class Fronts:
    """Finds what stands in front of strides: passages of a store, by the text before each."""

    retriever: Retriever
    search: Search
    reader: TokenReader
    pace: Pace

    def before(self, some: Sequence[Step], texts: Sequence[str]) -> list[Front]:
        """The passages in front of each step; `texts` are those that it is a step of.

        Passages are found by the text before a step. By the whole text those are left out that hold some of
        it word for word.
        """
        queries = [self.reader.text_of(step.query(self.pace)).strip("\ufffd") for step in some]
        asked = self._answerable(queries)
        fronts = [NOTHING] * len(some)
        if asked:
            of_each = [[texts[at]] for at in asked]
            rankings = self.retriever.search([queries[at] for at in asked], self.search, of_each)
            for at, ranking in zip(asked, rankings, strict=True):
                fronts[at] = Front.of([self._block(hit) for hit in ranking.hits], self.pace.front)
        return fronts

    def _answerable(self, queries: Sequence[str]) -> list[int]:
        """Which queries can be asked: none of white space, nor of what the encoder does not know."""
        some = [at for at, query in enumerate(queries) if query.strip()]
        if not some:
            return []
        try:
            known = self.retriever.answerable([queries[at] for at in some], [self.search.view], self.search)
        except RalmError:
            return []  # It says so if it would refuse them all.
        return [at for at, one in zip(some, known.tolist(), strict=True) if one]

    def _block(self, hit: Hit) -> tuple[int, ...]:
        """A passage as it stands in front of a text."""
        source = source_of(hit)
        title = f"{source.title}: " if source.title else ""
        return self.reader.tokens(f"{title}{source.text}\n\n")


def totals(
    texts: Sequence[str], fronts: Fronts, progress: BuildProgress, passages: bool = True
) -> list[Total]:
    """What each text scores, with passages in front of its strides or without."""
    reader, pace = fronts.reader, fronts.pace
    found = [Total() for _ in texts]
    todo = [(at, one) for at, text in enumerate(texts) for one in steps(reader.tokens(text), pace.stride)]
    with shown(progress, "score", "strides", len(todo)):
        for first in range(0, len(todo), _TOGETHER):
            some = todo[first : first + _TOGETHER]
            each = [one for _, one in some]
            before = fronts.before(each, [texts[at] for at, _ in some]) if passages else [NOTHING] * len(some)
            rows = [one.row(pace, reader.start, front) for one, front in zip(each, before, strict=True)]
            for (at, one), front, logs in zip(some, before, reader.score(rows), strict=True):
                found[at].add(one, front, sum(logs))
            progress.advance(len(some))
    return found
