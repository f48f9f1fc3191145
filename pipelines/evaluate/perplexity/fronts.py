"""What stands in front of strides: passages that are found by the text before, or controls.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

import numpy as np
import xxhash
from numpy.typing import NDArray

from datastore.view import View
from lm.reader import TokenReader
from pipelines.evaluate.perplexity.strides import NOTHING, Front, Pace, Step
from pipelines.evaluate.searching import can_be_asked
from retriever.refinement import Decontamination
from retriever.request import Method, Search
from retriever.results import Hit
from retriever.retriever import Retriever
from serve.answering.answerer import source_of

# Passages that are drawn for a stride, at most, beside those that it takes.
_DRAWN = 100

By = Literal["search", "bm25", "oracle", "random"]


@dataclass(frozen=True, slots=True)
class Arm:
    """`k` passages of a view in front of each stride, 0 being none, and what they are found `by`.

    "search" and "bm25" search by the text before a stride, "oracle" by the very text that is scored, and
    "random" draws passages.
    """

    k: int
    view: View = View()
    by: By = "search"


ALONE = Arm(0)


@dataclass(frozen=True)
class Fronts:
    """Finds what stands in front of strides, in each of several arms.

    The `search` says how; its k and its view are those of the arms. Passages that hold some of the text by
    any of the `rules` are left out, among the first `depth` that are found (None: among all).
    """

    retriever: Retriever
    search: Search
    reader: TokenReader
    pace: Pace
    rules: tuple[Decontamination, ...] = ()
    depth: int | None = None
    _rows: dict[View, NDArray[np.int64]] = field(default_factory=dict)

    def before(self, some: Sequence[Step], texts: Sequence[str], arms: Sequence[Arm]) -> list[list[Front]]:
        """What stands in front of each step in each arm: [arms][steps]; `texts` are those that it is of."""
        scored = [self.reader.text_of(step.ids[step.done : step.end]) for step in some]
        leaks = [_Leaks(self.rules, one, text) for one, text in zip(scored, texts, strict=True)]
        found: dict[Arm, list[list[Hit]]] = {}
        for by in dict.fromkeys(arm.by for arm in arms if arm.k):
            mine = [arm for arm in arms if arm.k and arm.by == by]
            if by == "random":
                found |= {arm: self._drawn(arm, some, texts, leaks) for arm in mine}
                continue
            queries = scored if by == "oracle" else [self._query(step) for step in some]
            found |= self._found(mine, queries, leaks)
        return [
            [self._front(hits) for hits in found[arm]] if arm.k else [NOTHING] * len(some) for arm in arms
        ]

    def _query(self, step: Step) -> str:
        return self.reader.text_of(step.query(self.pace)).strip("\ufffd")

    def _front(self, hits: Sequence[Hit]) -> Front:
        return Front.of([self._block(hit) for hit in hits], self.pace.front)

    def _block(self, hit: Hit) -> tuple[int, ...]:
        """A passage as it stands in front of a text."""
        source = source_of(hit)
        title = f"{source.title}: " if source.title else ""
        return self.reader.tokens(f"{title}{source.text}\n\n")

    def _found(
        self, arms: Sequence[Arm], queries: Sequence[str], leaks: Sequence["_Leaks"]
    ) -> dict[Arm, list[list[Hit]]]:
        """The clean hits of each query in each arm, from one search for all their views."""
        search = self.search if arms[0].by != "bm25" else replace(self.search, method=Method("bm25"))
        views, k = list(dict.fromkeys(arm.view for arm in arms)), max(arm.k for arm in arms)
        kept: dict[tuple[View, int], list[Hit]] = {}
        pending = self._asked(queries, search)
        most = min(self.retriever.rows, self.depth or self.retriever.rows)
        depth = min(k, most)
        while pending:
            rankings = self.retriever.search_many(
                [queries[at] for at in pending], views, replace(search, k=depth)
            )
            short: set[int] = set()
            for view, of_view in zip(views, rankings, strict=True):
                for at, ranking in zip(pending, of_view, strict=True):
                    clean = [hit for hit in ranking.hits if not leaks[at].hold(hit)]
                    kept[view, at] = clean
                    if len(clean) < k and not ranking.exhausted and depth < most:
                        short.add(at)
            # If rules drop hits, the search goes deeper until enough are left.
            pending, depth = sorted(short), min(2 * depth, most)
        return {arm: [kept.get((arm.view, at), [])[: arm.k] for at in range(len(queries))] for arm in arms}

    def _asked(self, queries: Sequence[str], search: Search) -> list[int]:
        """Which queries can be asked: none of white space, nor of what the encoder does not know."""
        some = [at for at, query in enumerate(queries) if query.strip()]
        if not some:
            return []
        known = can_be_asked(self.retriever, [queries[at] for at in some], search)
        return [at for at, one in zip(some, known.tolist(), strict=True) if one]

    def _hit(self, row: int) -> Hit:
        """A row of the one store, by no search."""
        ((_, opened),) = self.retriever.stores.items()
        return Hit(row, 0.0, opened.store.passage(row))

    def _drawn(
        self, arm: Arm, some: Sequence[Step], texts: Sequence[str], leaks: Sequence["_Leaks"]
    ) -> list[list[Hit]]:
        """Passages drawn from the view, for each step others; the same ones whenever it is measured."""
        ((_, opened),) = self.retriever.stores.items()
        rows = self._rows.setdefault(arm.view, np.flatnonzero(opened.store.mask(arm.view)))
        found = []
        for step, text, leak in zip(some, texts, leaks, strict=True):
            random = np.random.default_rng([xxhash.xxh3_64_intdigest(text.encode()), step.done])
            # Those that hold the text are drawn again: a few in a thousand at most.
            drawn = random.choice(rows, min(len(rows), _DRAWN + arm.k), replace=False)
            clean = (hit for hit in map(self._hit, drawn.tolist()) if not leak.hold(hit))
            found.append(list(islice(clean, arm.k)))
        return found


@dataclass(frozen=True)
class _Leaks:
    """Whether passages hold some of what a step scores, or of the whole text."""

    rules: tuple[Decontamination, ...]
    scored: str
    text: str
    _seen: dict[tuple[str, int], bool] = field(default_factory=dict)

    def hold(self, hit: Hit) -> bool:
        """Whether a hit holds some of the text by any rule; each is looked at once."""
        key = (hit.store, hit.row)
        if key not in self._seen:
            text = hit.passage.text
            self._seen[key] = any(one.hits(text, self.scored, (self.text,)) for one in self.rules)
        return self._seen[key]
