"""An index's card: what each setting of a search finds, reads and costs, measured after the build.

It stands beside the index, outside every checksum: recall is a property of the store, milliseconds are
one of the machine that measured them.

Decisions: docs/decisions/cards.md.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from base.errors import RalmError
from datastore.files.json import read_json, write_json
from datastore.files.layout import Layout
from datastore.generations.manifest import Manifest
from retriever.ranking.setting import Setting

_log = logging.getLogger(__name__)

# Recall is measured of so many hits at most.
MEASURED_HITS = 100


@dataclass(frozen=True, slots=True)
class Rung:
    """One setting, measured: recall@10 and @100 against exact search, bytes of vectors read from disk
    pages, and milliseconds of a single query on one thread (median), each for one query.

    Recall@k is the share of the first k hits whose exact score reaches that of the k-th best of all: of
    passages with the same text an exact search may name any, and so may this one.
    """

    nprobe: int
    depth: int
    recall_10: float
    recall_100: float
    bytes_read: int
    milliseconds: float


@dataclass(frozen=True)
class Card:
    """The rungs of an index, on `queries` queries; `index` tells whose card it is."""

    index: str
    rows: int
    queries: int
    rungs: tuple[Rung, ...]

    def setting(self, recall: float, k: int) -> Setting:
        """The quickest setting that reaches a recall at k. Raises RalmError if none does."""
        able = [rung for rung in self.rungs if self._recall(rung, k) >= recall]
        if not able:
            best = max(self._recall(rung, k) for rung in self.rungs)
            raise RalmError(
                f"No setting of this index was measured to reach recall {recall:g} at {k}: its best is "
                f"{best:.3f}. Ask for at most that, or build with a finer --index-key."
            )
        return _setting(min(able, key=lambda rung: rung.milliseconds), k)

    def best(self, k: int) -> Setting:
        """The setting that finds most."""
        return _setting(max(self.rungs, key=lambda rung: (self._recall(rung, k), -rung.milliseconds)), k)

    def measured(self, setting: Setting, k: int) -> float | None:
        """The recall at k that a setting has at least: the best of those that try no harder; None without.

        None, too, for a k beyond those that were measured, unless the index is exact.
        """
        if k > MEASURED_HITS and any(rung.depth or rung.nprobe for rung in self.rungs):
            return None
        below = (r for r in self.rungs if r.nprobe <= setting.nprobe and r.depth <= setting.depth)
        return max((self._recall(rung, k) for rung in below), default=None)

    @staticmethod
    def _recall(rung: Rung, k: int) -> float:
        # Recall falls slowly with k: the next measured one above stands for those between.
        return rung.recall_10 if k <= 10 else rung.recall_100


def _setting(rung: Rung, k: int) -> Setting:
    if not rung.depth:
        return Setting(rung.nprobe, 0)
    # Beyond what was measured, as many candidates for each hit as at 100.
    return Setting(rung.nprobe, max(rung.depth, k, rung.depth * k // MEASURED_HITS))


def read_card(layout: Layout, manifest: Manifest) -> Card | None:
    """The card of a store's index, None if it has none. Raises RalmError if it is another index's."""
    path = layout.card(manifest.index.key, manifest.edition)
    if not path.exists():
        return None
    try:
        found = read_json(path)
        card = Card(
            found["index"], found["rows"], found["queries"], tuple(Rung(**rung) for rung in found["rungs"])
        )
    except (RalmError, KeyError, TypeError):
        raise RalmError(f"{path} is not an index card: run `ralm card {layout.root}`.") from None
    if card.index != manifest.index_hash:
        raise RalmError(
            f"{path} belongs to another index: run `ralm card {layout.root}` to measure this one."
        )
    return card


def usable_card(layout: Layout, manifest: Manifest) -> Card | None:
    """The card of a generation that a reader goes over to, none where it is damaged.

    What that generation took down must not be shown any longer for the sake of a card.
    """
    try:
        return read_card(layout, manifest)
    except RalmError as error:
        _log.warning("Searched without a card: %s", error)
        return None


def write_card(path: Path, card: Card) -> None:
    """Write a card beside its index."""
    write_json(path, asdict(card))
