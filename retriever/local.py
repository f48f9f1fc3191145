"""A store searched in this process.

Two tiers: codes in memory propose candidates, the stored vectors score them exactly.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datastore.schema import Passage
from datastore.store import Datastore
from retriever.opened import OpenedStore, Opening, Wanted
from retriever.ranking.candidates import Ranked, by_codes
from retriever.ranking.lexical import LexicalIndex
from retriever.results import Hit
from retriever.retriever import Retriever

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder
    from retriever.index.code_index import Assigned, CodeIndex
    from retriever.ranking.propose import Proposer


class LocalRetriever(Retriever):
    """A retriever of one store, the encoder it was built with and its index, loaded once."""

    def __init__(self, opened: OpenedStore) -> None:
        self.opened = opened
        self._session = LocalSession(opened)

    @classmethod
    def open(cls, path: Path | str, how: Opening = Opening()) -> "LocalRetriever":
        """Open a store, and load it but for `words_only`. Raises RalmError naming what is missing."""
        found = cls(OpenedStore.open(path, how))
        return found if how.words_only else found.loaded()

    def loaded(self) -> "LocalRetriever":
        """This retriever, with all loaded that a search needs."""
        self._session.load()
        return self

    @property
    def stores(self) -> Mapping[str, OpenedStore]:
        return {"": self.opened}

    @property
    def store(self) -> Datastore:
        """What is searched."""
        return self.opened.store

    @property
    def index(self) -> "CodeIndex":
        """The codes that propose candidates, loaded when they are first asked for."""
        return self.opened.index

    def session(self) -> "LocalSession":
        """The same for every search: of a store in this process nothing is missing."""
        return self._session

    def silent(self) -> tuple[int, ...]:
        return ()

    def refreshed(self) -> "LocalRetriever":
        return self._of(self.opened.refreshed())

    def hiding(self) -> "LocalRetriever":
        return self._of(self.opened.hiding())

    def _of(self, opened: OpenedStore) -> "LocalRetriever":
        return self if opened is self.opened else LocalRetriever(opened)


class LocalSession:
    """The rows of one store, ranked and read in this process."""

    missing: tuple[int, ...] = ()

    def __init__(self, opened: OpenedStore) -> None:
        self._opened = opened
        self.lexical = LexicalIndex.load(opened.store.layout.root, opened.store)

    def load(self) -> None:
        """Load all that a search needs."""
        _ = self._opened.loaded(), self._proposer

    @property
    def encoder(self) -> "TextEncoder":
        return self._opened.encoder

    @cached_property
    def _proposer(self) -> "Proposer":
        from retriever.ranking.propose import Proposer

        return Proposer(self._opened.store, self._opened.index)

    def rank(self, vectors: NDArray[np.float32], wanted: Wanted) -> list[Ranked]:
        def ranked(some: NDArray[np.float32], assigned: "Assigned") -> list[Ranked]:
            return self._ranked(some, assigned, wanted)

        return self._opened.in_blocks(vectors, wanted, ranked)

    def _ranked(self, vectors: NDArray[np.float32], assigned: "Assigned", wanted: Wanted) -> list[Ranked]:
        """The best rows of some queries in each view."""
        rescored, most = self._opened.rescores(wanted.setting), max(wanted.k, wanted.setting.depth)
        with wanted.seconds.of("propose"):
            found = self._proposer.propose(assigned, wanted.views, most, wanted.reach, not rescored)
        with wanted.seconds.of("rescore"):
            if not rescored:
                return [by_codes(one, wanted.k) for one in found]
            from retriever.ranking.rescore import by_vectors

            return by_vectors(self._opened.store, vectors, found, wanted.k)

    def passages(self, rows: Sequence[int]) -> dict[int, Passage]:
        return {row: self._opened.store.passage(row) for row in rows}

    def hit(self, row: int, score: float, passage: Passage) -> Hit:
        return Hit(row, score, passage, self._opened.store.manifest.generation)

    def vectors(self, hits: Sequence[Hit]) -> NDArray[np.float16]:
        return self._opened.store.vectors([hit.row for hit in hits])
