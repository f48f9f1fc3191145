"""An index to its card: what each setting finds, measured on sentences of the store's own passages.

Nobody knows the questions that will come; a sentence encoded as a query lies nearer to them than the
vector of a whole passage does. `ralm card --questions` measures with real ones.

Decisions: docs/decisions/cards.md.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.manifest import Device, Manifest
from datastore.objects.origin import Origin
from datastore.store import Datastore
from datastore.view import View, mix
from pipelines.indexing.embed import THREADS, load_encoder
from retriever.encoding.checkpoint import Checkpoint, moved
from retriever.index.sizing import IndexKey
from retriever.ranking.card import Card, usable_card, write_card

if TYPE_CHECKING:
    from retriever.encoding.encoder import Encoder
    from retriever.index.faiss_index import SearchIndex

QUERIES = 1000
# Of an exact index only the time is measured.
EXACT_QUERIES = 50
# A card holds for a store that has grown by less since it was measured.
_GROWN = 1.05
_SENTENCE = re.compile(r"[^.!?\n]{20,300}[.!?\n]")
# Passages are drawn by another hash than the training sample, or they would be its own centroids' points.
_SALT = 0x0CA2D
# A larger index is measured where it lies on the disk.
_IN_MEMORY = 1 << 28


@dataclass(frozen=True)
class CardStage:
    """Measures the index of a store that is whole but not yet published."""

    name: ClassVar[str] = "card"
    unit: ClassVar[str] = "queries"
    layout: Layout
    manifest: Manifest
    device: Device = "cpu"
    # Where the tower for queries lies, if it has moved.
    encoder: str | None = None

    def sizes(self) -> Sequence[int]:
        return [min(_count(self.manifest), self.manifest.rows)]

    def run(self, number: int) -> Marker:
        from retriever.encoding.encoder import there_is  # Here: who only counts stages needs no PyTorch.

        store = Datastore(self.layout, self.manifest)
        described = self.manifest.encoder.for_queries.at(self.encoder)
        # A store that a GPU built may be changed where there is none.
        device = self.device if there_is(self.device) else "cpu"
        usage = Checkpoint.of(described).given
        encoder = load_encoder(described.name, described.dtype, device, usage)
        texts = sentences(store, _count(self.manifest), self.manifest.config.get("seed", 0))
        card = make_card(store, encoder, texts, keep_lists=False)
        # Measured: the card is in no checksum, so the marker names no file.
        write_card(self.layout.card(self.manifest.index.key, self.manifest.edition), card)
        return Marker({"queries": card.queries})


def copy_card(layout: Layout, before: Manifest, after: Manifest) -> bool:
    """Take over the card of a generation with the same index; whether that can be done.

    It can if the index has hardly grown since it was measured: measuring takes longer than adding a few
    passages, and finds the same.
    """
    card = usable_card(layout, before)
    if card is None or after.rows >= _GROWN * card.rows:
        return False
    write_card(layout.card(after.index.key, after.edition), replace(card, index=after.index_hash))
    return True


def _count(manifest: Manifest) -> int:
    """How many sentences an index is measured on."""
    return EXACT_QUERIES if IndexKey.parse(manifest.index.key).exact else QUERIES


def make_card(store: Datastore, encoder: "Encoder", queries: Sequence[str], keep_lists: bool = True) -> Card:
    """Measure a store's index on queries. `keep_lists`: lists that lie on the disk before, stay there."""
    from retriever.encoding.threads import torch_threads
    from retriever.ranking.measuring import measure

    with torch_threads(THREADS):
        vectors = encoder.encode_queries(queries)
    with _opened(store, keep_lists) as index:
        return measure(store, index, vectors, encoder.device)


@contextmanager
def _opened(store: Datastore, keep_lists: bool) -> Iterator["SearchIndex"]:
    """A store's index; a large one on the disk, so that what a build takes does not grow with its corpus.

    Lists on the disk are scanned as fast. They are deleted again, unless a server would lay them out too.
    """
    from retriever.index.loading import in_memory, on_disk
    from retriever.index.mapped import fits

    root, manifest = store.layout.root, store.manifest
    key, dimension = IndexKey.parse(manifest.index.key), manifest.encoder.dimension
    if not key.has_lists or key.bytes(manifest.rows, dimension) <= _IN_MEMORY:
        yield in_memory(root, manifest)
        return
    lists = store.layout.lists(key.text, manifest.edition)
    wanted = (keep_lists and lists.exists()) or not fits(key, manifest.rows, dimension)
    try:
        yield on_disk(root, manifest)
    finally:
        if not wanted:
            lists.unlink(missing_ok=True)


def sentences(store: Datastore, count: int, seed: int) -> list[str]:
    """A sentence each from about `count` passages, chosen by a hash of their keys; at least one."""
    share = min(1.0, count / max(1, store.passages))
    bound = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    found, first = [], 0
    for keys in store.shard_keys():
        found.append(first + np.flatnonzero(mix(keys, seed + _SALT) <= bound))
        first += len(keys)
    rows = np.concatenate(found)
    rows = rows[store.keep([View()], rows)[0]][:count]
    passages = [store.passage(row) for row in rows.tolist()] or list(islice(store, 1))
    return [sentence(passage.text) for passage in passages]


def sentence(text: str) -> str:
    """The middle one of a text's sentences; its beginning if it has none."""
    found = _SENTENCE.findall(text)
    return found[len(found) // 2].strip() if found else text[:300]


def measure_again(
    path: Path, questions: Sequence[str], encoder: str | None = None, query_encoder: str | None = None
) -> Card:
    """Measure and replace the card of a published store; without questions, on its own sentences.

    `encoder` and `query_encoder` are where the store's own lie, if they have moved.
    """
    from retriever.encoding.encoder import Encoder

    store = Datastore.open(path)
    if not store.passages:
        raise RalmError(f"{path} has no passages to measure an index with: add some first.")
    opened = Encoder.open(moved(store.manifest.encoder, encoder, query_encoder))
    seed = store.manifest.config.get("seed", 0)
    card = make_card(store, opened, questions or sentences(store, _count(store.manifest), seed))
    where = store.layout.card(store.manifest.index.key, store.manifest.edition)
    write_card(where, card)
    origin = Origin.of(store.layout.root)
    if origin is not None:
        origin.put_card(where, store.manifest.index_hash)
    return card
