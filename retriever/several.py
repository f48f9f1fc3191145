"""Several stores searched as one: what `Retriever` gives, from all of them.

Each store proposes and scores its own candidates; scores of the same encoder compare, so the best of all are
the best of each. BM25 counts words over all stores. Rows are numbered through within a search; a hit says
which store it is of and its row there.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import EncoderCard
from datastore.members import known_views
from datastore.schema import Passage
from datastore.view import View
from retriever.local import Retriever
from retriever.ranking.candidates import Candidates, Ranked, by_codes, shifted
from retriever.ranking.lexical import Lexical, add_frequencies
from retriever.ranking.results import Hit, Ranking, Seconds, Setting
from retriever.refusals import require_some_lists

if TYPE_CHECKING:
    from retriever.encoding.encoder import Encoder


@dataclass(frozen=True, slots=True)
class SeveralSettings(Setting):
    """A setting for each store; `nprobe` and `depth` are the largest of them."""

    each: tuple[Setting, ...] = ()


class SeveralRetriever(Retriever):
    """Retrievers of stores with the same encoder, by the names that their hits are to bear.

    They may be local ones or clusters. Raises RalmError if their encoders differ.
    """

    def __init__(self, members: Mapping[str, Retriever]) -> None:
        self.members = dict(members)
        self._each = list(members.values())
        first = self._each[0]
        for name, member in members.items():
            mine, other = first.store.manifest.encoder, member.store.manifest.encoder
            if not mine.compares_with(other):
                raise RalmError(
                    f"{name} was built with the encoder {_named(other)}, the first store with "
                    f"{_named(mine)}: stores that are searched together need the same one, used in the same "
                    "way."
                )
        self.store = first.store
        self.card = None
        self.lexical = None
        if all(member.lexical is not None for member in self._each):
            self.lexical = _SeveralLexical(self._each)
        self._starts = np.cumsum([0, *(member.store.rows for member in self._each)])

    def loaded(self) -> "SeveralRetriever":
        """With every store's index loaded, and one encoder for all."""
        _ = self.encoder
        for member in self._each:
            member.loaded()
        return self

    @cached_property
    def encoder(self) -> "Encoder":
        """The first store's: the others' are the same, and one model in memory is enough."""
        found = self._each[0].encoder
        for member in self._each:
            member.encoder = found
        return found

    @property
    def rows(self) -> int:
        return int(self._starts[-1])

    @property
    def hash(self) -> str:
        return xxhash.xxh3_128_hexdigest("".join(member.hash for member in self._each).encode())

    @property
    def stores(self) -> dict[str, Retriever]:
        return self.members

    def refreshed(self) -> "SeveralRetriever":
        """Of every store's current generation; this one if all of them are."""
        found, failed = dict(self.members), []
        for name, member in self.members.items():
            try:
                found[name] = member.refreshed()
            except (RalmError, OSError) as error:
                failed.append(
                    error
                )  # A damaged store must not keep the others' takedowns from taking effect.
        if list(found.values()) != self._each:
            return SeveralRetriever(found)
        if failed:
            raise failed[0]
        return self

    def hiding(self) -> "SeveralRetriever":
        """As of one store, of every store whose manifest can be read."""
        found = dict(self.members)
        for name, member in self.members.items():
            with suppress(RalmError, OSError):
                found[name] = member.hiding()
        return self if list(found.values()) == self._each else SeveralRetriever(found).loaded()

    def setting(
        self, k: int, recall: float | None = None, nprobe: int | None = None, depth: int | None = None
    ) -> Setting:
        """For each store the quickest setting of its own card; `nprobe` is for those that have lists."""
        require_some_lists([member.index.nlist for member in self._each], nprobe)
        each = tuple(
            member.setting(k, recall, nprobe if member.index.nlist else None, depth) for member in self._each
        )
        return SeveralSettings(max(s.nprobe for s in each), max(s.depth for s in each), each)

    def settings(self, setting: Setting) -> list[tuple[Retriever, Setting]]:
        """Each store with the setting that it is searched by."""
        each = setting.each if isinstance(setting, SeveralSettings) else (setting,) * len(self._each)
        return list(zip(self._each, each, strict=True))

    def measured(self, setting: Setting, k: int, view: View | None = None) -> float | None:
        """The recall at k that every store's own setting has at least."""
        found = [member.measured(mine, k, view) for member, mine in self.settings(setting)]
        return None if None in found else min(one for one in found if one is not None)

    def left_out(self, view: View) -> tuple[str, ...]:
        """As `Retriever.left_out`; an empty store holds none."""
        return tuple(
            name for name, (mine,) in zip(self.members, self._known([view]), strict=True) if mine is None
        )

    def search_many(self, *args: Any, **options: Any) -> list[list[Ranking]]:
        """As `Retriever.search_many`; missing shards are numbered through over all stores."""
        for member in self._each:
            member.begin()
        found = super().search_many(*args, **options)
        missing = self._numbered([member.missing() for member in self._each])
        return [[replace(ranking, missing=missing) for ranking in several] for several in found]

    def silent(self) -> tuple[int, ...]:
        """As `Retriever.silent`, numbered through over all stores."""
        return self._numbered([member.silent() for member in self._each])

    def _numbered(self, shards: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Shards of each store, numbered through over all of them."""
        numbered: list[int] = []
        before = 0
        for member, its in zip(self._each, shards, strict=True):
            numbered += [before + shard for shard in its]
            before += len(member.store.manifest.shards)
        return tuple(numbered)

    def rank(
        self,
        vectors: NDArray[np.float32],
        views: Sequence[View],
        k: int,
        setting: Setting,
        depth: int = 0,
        seconds: Seconds | None = None,
    ) -> list[Ranked]:
        """The k best rows of each query vector [n, d] in each view."""
        known = self._known(views)
        parts: list[list[Ranked]] = [[] for _ in views]
        each = self.settings(setting)
        for (member, mine), start, there in zip(each, self._starts[:-1], known, strict=True):
            wanted = [view for view in there if view is not None]
            found = iter(member.rank(vectors, wanted, k, mine, depth, seconds) if wanted else [])
            for part, view in zip(parts, there, strict=True):
                if view is not None:
                    ranked = next(found)
                    part.append(replace(ranked, rows=shifted(ranked.rows, start)))
        return [_best(part, k) for part in parts]

    def _known(self, views: Sequence[View]) -> list[list[View | None]]:
        """The views as each store can answer them: it may lack a domain or a column, all of them may not."""
        return known_views([member.store for member in self._each], views)

    def _passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        found: dict[int, Passage] = {}
        for member, start, mine in self._by_member(rows):
            its = member._passages([row - start for row in mine])
            found |= {row + start: passage for row, passage in its.items()}
        return found

    def _by_member(self, rows: Sequence[int]) -> list[tuple[Retriever, int, list[int]]]:
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        return [
            (member, int(self._starts[n]), [r for r, owner in zip(rows, owners, strict=True) if owner == n])
            for n, member in enumerate(self._each)
            if (owners == n).any()
        ]

    def _hit(self, row: int, score: float, passage: Passage) -> Hit:
        owner = int(np.searchsorted(self._starts, row, side="right")) - 1
        hit = self._each[owner]._hit(row - int(self._starts[owner]), score, passage)
        return replace(hit, store=list(self.members)[owner])

    def _vectors(self, hits: Sequence[Hit]) -> NDArray[np.float16]:
        return np.concatenate([self.members[hit.store]._vectors([hit]) for hit in hits])


def _named(card: EncoderCard) -> str:
    return card.name if card.query is None else f"{card.name} with {card.query.name} for queries"


class _SeveralLexical(Lexical):
    """BM25 over several stores: weights compare but for the mean length that each store was built with."""

    def __init__(self, members: Sequence[Retriever]) -> None:
        self._members = members
        self._parts = [member.lexical for member in members if member.lexical is not None]

    @property
    def passages(self) -> int:
        return sum(part.passages for part in self._parts)

    def frequencies(self, queries: Sequence[str]) -> list[dict[int, int]]:
        return add_frequencies((part.frequencies(queries) for part in self._parts), len(queries))

    def candidates(
        self,
        queries: Sequence[str],
        views: Sequence[View],
        k: int,
        frequencies: Sequence[Mapping[int, int]],
        total: int,
    ) -> list[Candidates]:
        known = known_views([member.store for member in self._members], views)
        parts: list[list[Candidates]] = [[] for _ in views]
        start = 0
        for member, part, there in zip(self._members, self._parts, known, strict=True):
            wanted = [view for view in there if view is not None]
            found = iter(part.candidates(queries, wanted, k, frequencies, total) if wanted else [])
            for several, view in zip(parts, there, strict=True):
                if view is not None:
                    one = next(found)
                    several.append(one.shifted(start))
            start += member.store.rows
        return [_joined(several) for several in parts]


def _joined(parts: Sequence[Candidates]) -> Candidates:
    """Candidates of the same queries from several stores, which come in row order."""
    rows = np.concatenate([part.rows for part in parts], axis=1)
    return Candidates(rows, np.concatenate([part.scores for part in parts], axis=1))


def _best(parts: Sequence[Ranked], k: int) -> Ranked:
    """The k best of several rankings of the same queries."""
    rows = np.concatenate([part.rows for part in parts], axis=1)
    scores = np.concatenate([part.scores for part in parts], axis=1)
    # Of each query the rows, ascending, as candidates come.
    order = np.argsort(rows, axis=1)
    rows, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return by_codes(Candidates(rows, scores), k)
