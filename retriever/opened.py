"""A store opened for searching, with its encoder and its index: loaded at once, or when first needed.

A search by words needs neither, and both take seconds to import and to load.

Decisions: docs/decisions/command-line.md, generations-and-takedowns.md, measuring.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.generation import current_hash
from datastore.generations.manifest import Device, EncoderCard, Manifest
from datastore.store import Datastore
from datastore.view import View
from retriever.encoding.checkpoint import moved
from retriever.ranking.candidates import Ranked
from retriever.ranking.card import Card, read_card, usable_card
from retriever.ranking.setting import Setting, SeveralSettings
from retriever.refusals import Known, known_lists, require_finite
from retriever.request import Effort
from retriever.results import Seconds

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder
    from retriever.index.code_index import Assigned, CodeIndex
    from retriever.index.loading import Place

# Without a card: lists and vectors that found 98% of an exhaustive search's first ten in the
# development corpora.
_UNMEASURED_LISTS = 1 / 4
_UNMEASURED_DEPTH = 200
# Queries whose candidates are held at once: as many for each as the one with the most ties has.
_TOGETHER = 1024


@dataclass(frozen=True, slots=True)
class Opening:
    """How a store is opened: what encodes and searches, and whether its codes lie in memory or on disk.

    `encoder` and `query_encoder`, if given, are where to find the encoders that the store was built with,
    under whatever names; others are a RalmError. `words_only`, for BM25 alone, leaves encoder and index until
    they are needed.
    """

    device: Device = "cpu"
    place: "Place" = "auto"
    encoder: str | None = None
    query_encoder: str | None = None
    words_only: bool = False

    def encoders(self, store: Datastore) -> EncoderCard:
        """A store's encoders, by where they lie now. Raises RalmError for others."""
        return moved(store.manifest.encoder, self.encoder, self.query_encoder)

    def open_encoder(self, card: EncoderCard) -> "TextEncoder":
        """What encodes queries as a card says."""
        from retriever.encoding.encoder import Encoder

        return Encoder.open(card, self.device)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What embeddings are to rank: the k best rows in each view, by a setting; `reach` as in a Search.

    `seconds` is told how long each stage takes.
    """

    views: Sequence[View]
    k: int
    setting: Setting
    reach: int = 0
    seconds: Seconds = field(default_factory=Seconds)


class OpenedStore:
    """A store and all that a search by embeddings needs of it. Safe between threads."""

    def __init__(
        self,
        store: Datastore,
        how: Opening = Opening(),
        encoder: "TextEncoder | None" = None,
        index: "CodeIndex | None" = None,
        card: Card | None = None,
    ) -> None:
        """Encoder and index, where they are not given, are loaded when they are first needed."""
        self.store = store
        self.card = card
        self.later: Manifest | None = None  # A generation whose takedowns are hidden here, too.
        self.how = how
        self._looked = ""  # The generation that was looked at last for what it hides.
        if encoder is not None:
            self.encoder = encoder
        if index is not None:
            self.index = index

    @classmethod
    def open(cls, path: Path | str, how: Opening = Opening()) -> "OpenedStore":
        """Open a store's current generation, without encoder and index as yet. Raises RalmError."""
        store = Datastore.open(path)
        how.encoders(store)
        return cls(store, how, card=read_card(store.layout, store.manifest))

    def loaded(self) -> "OpenedStore":
        """This store, with all loaded that a search needs."""
        _ = self.index, self.encoder
        return self

    @cached_property
    def encoder(self) -> "TextEncoder":
        """What encodes queries."""
        return self.how.open_encoder(self.how.encoders(self.store))

    @cached_property
    def index(self) -> "CodeIndex":
        """The codes that propose candidates."""
        from retriever.index.loading import load

        return load(self.store.layout.root, self.store.manifest, self.how.device, self.how.place)

    @property
    def known(self) -> Known:
        """What can be said of a search without loading anything."""
        index = self._loaded("index")
        lists = known_lists(self.store.manifest.index.key) if index is None else index.nlist
        return Known(self.store, lists, self.card)

    def _loaded(self, name: str) -> Any:
        """Encoder or index, None if it is not loaded yet."""
        return self.__dict__.get(name)

    def setting(self, effort: Effort, k: int) -> Setting:
        """The quickest setting that reaches a recall, by the index's card, or the one that is given.

        What is given neither way is that of the recall that the store was built for, or the best there is.
        An index without lists takes no notice of how many to probe.
        """
        if effort.recall is None or self.card is None:
            chosen = self._default(k)
        else:
            chosen = self.card.setting(effort.recall, k)
        nprobe = effort.nprobe if self.index.nlist else None
        return Setting(nprobe or chosen.nprobe, chosen.depth if effort.depth is None else effort.depth)

    def _default(self, k: int) -> Setting:
        if self.card is None:
            depth = 0 if self.index.key.exact else max(_UNMEASURED_DEPTH, 2 * k)
            return Setting(int(self.index.nlist * _UNMEASURED_LISTS), depth)
        try:
            return self.card.setting(self.store.manifest.index.recall, k)
        except RalmError:
            return self.card.best(k)

    def measured(self, setting: Setting, k: int, view: View) -> float | None:
        """The recall at k that a setting has at least, by the index's card; None if that does not tell.

        It tells nothing of a view, unless the index is exact: the first ten of a hundredth lie as far out as
        the first thousand of the whole, in lists that are probed less surely.
        """
        whole = view.everything or self.index.key.exact
        return self.card.measured(setting, k) if self.card is not None and whole else None

    def in_blocks(
        self,
        vectors: NDArray[np.float32],
        wanted: Wanted,
        ranked: "Callable[[NDArray[np.float32], Assigned], list[Ranked]]",
    ) -> list[Ranked]:
        """The best rows of query vectors [n, d] in each view, as `ranked` finds them for some at a time."""
        require_finite(vectors)
        from retriever.index.threads import searching

        with searching(self._products(vectors, wanted.setting)):
            with wanted.seconds.of("propose"):
                assigned = self.index.assign(vectors, wanted.setting.nprobe)
            if len(vectors) <= _TOGETHER:
                return ranked(vectors, assigned)
            blocks = [slice(at, at + _TOGETHER) for at in range(0, len(vectors), _TOGETHER)]
            parts = [ranked(vectors[mine], assigned[mine]) for mine in blocks]
        return [Ranked.of(several) for several in zip(*parts, strict=True)]

    def _products(self, vectors: NDArray[np.float32], setting: Setting) -> float:
        """About how many components of stored vectors a search multiplies; codes cost an eighth of them."""
        lists = self.index.nlist
        share = min(1.0, setting.nprobe / lists) if lists and setting.nprobe else 1.0
        return vectors.size * self.store.rows * share * (1 if self.index.key.exact else 1 / 8)

    def rescores(self, setting: Setting) -> bool:
        """Whether a setting has candidates scored by their stored vectors."""
        return bool(setting.depth) and not self.index.key.exact

    def hiding(self) -> "OpenedStore":
        """This store without what has been taken down since; itself if nothing has.

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

    def _over(self, store: Datastore, later: Manifest) -> "OpenedStore":
        """The same generation that hides what a later one does, over the same index."""
        encoder = self._loaded("encoder")
        found = OpenedStore(store, self.how, encoder, self._loaded("index"), self.card)
        found.later = later
        return found if encoder is None else found.loaded()

    def refreshed(self) -> "OpenedStore":
        """The store's current generation: this one, if it is that already.

        Encoder and index are shared where they are the same, as after a takedown; this one stays usable.
        """
        layout, before = self.store.layout, self.store.manifest
        if current_hash(layout) == self.store.hash:
            return self
        store = Datastore.open(layout.root)
        now, encoder = store.manifest, self._loaded("encoder")
        found = OpenedStore(
            store,
            self.how if encoder is None else replace(self.how, device=encoder.device),
            encoder if encoder is not None and encoder.is_of(now.encoder) else None,
            self._loaded("index") if now.index_hash == before.index_hash else None,
            usable_card(layout, now),
        )
        return found if encoder is None else found.loaded()


def setting_of(stores: Sequence[OpenedStore], effort: Effort | Setting, k: int) -> Setting:
    """A Setting as it is; of an Effort, for each store the quickest setting of its own card."""
    if isinstance(effort, Setting):
        return effort
    each = tuple(store.setting(effort, k) for store in stores)
    if len(each) == 1:
        return each[0]
    return SeveralSettings(max(s.nprobe for s in each), max(s.depth for s in each), each)
