"""A store opened for searching, with its encoder and its index: loaded at once, or when first needed.

A search by words needs neither, and both take seconds to import and to load.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from datastore.generations.generation import current_hash
from datastore.generations.manifest import Device, Manifest
from datastore.store import Datastore
from retriever.encoding.checkpoint import moved
from retriever.ranking.card import Card, read_card, usable_card
from retriever.ranking.lexical import Lexical, LexicalIndex

if TYPE_CHECKING:
    from retriever.encoding.encoder import Encoder
    from retriever.index.code_index import CodeIndex
    from retriever.index.loading import Place
    from retriever.ranking.propose import Proposer


class OpenedStore:
    """A store and all that a search of it needs."""

    def __init__(
        self,
        store: Datastore,
        encoder: "Encoder | None" = None,
        index: "CodeIndex | None" = None,
        card: Card | None = None,
        lexical: Lexical | None = None,
        place: "Place" = "auto",
        found_at: tuple[str | None, str | None] = (None, None),
        device: Device = "cpu",
    ) -> None:
        """Encoder and index, where they are not given, are loaded when they are first needed.

        `found_at`: where the store's encoder and the tower for queries are, if not where the manifest says.
        """
        self.store = store
        if encoder is not None:
            self.encoder = encoder
        if index is not None:
            self.index = index
        self.card = card
        self.lexical = lexical
        self._place = place
        self._found_at = found_at
        self._device = device
        self._looked = ""  # The generation that was looked at last for what it hides.

    @classmethod
    def open(
        cls,
        path: Path | str,
        encoder: str | None = None,
        device: Device = "cpu",
        place: "Place" = "auto",
        query_encoder: str | None = None,
        words_only: bool = False,
    ) -> Self:
        """Open a store for searching, on GPUs if `device` says so, with its codes in `place`.

        `encoder` and `query_encoder`, if given, are where to find the encoders it was built with, under
        whatever names; others are a RalmError. `words_only` leaves encoder and index until they are needed.
        """
        store = Datastore.open(path)
        moved(store.manifest.encoder, encoder, query_encoder)
        card = read_card(store.layout, store.manifest)
        lexical = LexicalIndex.load(store.layout.root, store)
        found_at = (encoder, query_encoder)
        found = cls(store, None, None, card, lexical, place, found_at, device)
        return found if words_only else found.loaded()

    def loaded(self) -> Self:
        """This retriever, with all loaded that a search needs."""
        _ = self.index, self.encoder, self._proposer
        return self

    @cached_property
    def encoder(self) -> "Encoder":
        """What encodes queries."""
        from retriever.encoding.encoder import Encoder

        return Encoder.open(moved(self.store.manifest.encoder, *self._found_at), self._device)

    @cached_property
    def index(self) -> "CodeIndex":
        """The codes that propose candidates."""
        from retriever.index.loading import load

        return load(self.store.layout.root, self.store.manifest, self._device, self._place)

    @cached_property
    def _proposer(self) -> "Proposer":
        from retriever.ranking.propose import Proposer

        return Proposer(self.store, self.index)

    @property
    def rows(self) -> int:
        """Number of rows that are searched."""
        return self.store.rows

    @property
    def hash(self) -> str:
        """The manifest's hash: names what is searched."""
        return self.store.hash

    def hiding(self) -> Self:
        """This retriever without what has been taken down since; itself if nothing has.

        For where the current generation cannot be opened, or not yet. Raises RalmError if its manifest cannot
        be read, nor a list of takedowns found.
        """
        from datastore.hiding import later_than, without_later

        pointed = current_hash(self.store.layout)
        if pointed in (self.store.hash, self._looked):
            return self
        now = later_than(self.store.layout, self.store.manifest)
        store = without_later(self.store, now)
        found = self if store is self.store else self._over(store, now)
        if {*now.takedowns} <= {*store.manifest.takedowns}:
            found._looked = pointed  # Else what could not be read is looked for again.
        return found

    def _over(self, store: Datastore, later: Manifest) -> Self:
        """A retriever of the same generation that hides what a later one does, over the same index."""
        lexical = None if self.lexical is None else LexicalIndex.load(store.layout.root, store)
        encoder, index = (self.__dict__.get(name) for name in ("encoder", "index"))
        found = type(self)(
            store, encoder, index, self.card, lexical, self._place, self._found_at, self._device
        )
        return found if encoder is None else found.loaded()

    def refreshed(self) -> Self:
        """A retriever of the store's current generation: this one, if it is of that already.

        Encoder and index are shared where they are the same, as after a takedown; this one stays usable.
        """
        layout, before = self.store.layout, self.store.manifest
        if current_hash(layout) == self.store.hash:
            return self
        store = Datastore.open(layout.root)
        now = store.manifest
        encoder = self.__dict__.get("encoder")
        found = type(self)(
            store,
            encoder if encoder is not None and encoder.is_of(now.encoder) else None,
            self.__dict__.get("index") if now.index_hash == before.index_hash else None,
            usable_card(layout, now),
            LexicalIndex.load(layout.root, store),
            self._place,
            self._found_at,
            self._device if encoder is None else encoder.device,
        )
        return found if encoder is None else found.loaded()
