"""`GET /card`: what people want to know of a store before they ask it."""

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from lm.reader import Reader
from lm.reader import card as reader_card
from retriever.opened import OpenedStore
from retriever.retriever import Retriever
from serve.answering.cards import taken, usual_rung
from serve.answering.places import store_ids, store_names

# A store of the web has thousands of domains: these are its largest.
_DOMAINS = 12


class EncoderModel(BaseModel):
    """What encodes queries."""

    name: str
    dimension: int


class IndexModel(BaseModel):
    """The index, the recall@10 it aims at, and what the setting of that was measured to find and to take.

    Null where the index has no card.
    """

    key: str
    recall: float
    measured_recall: float | None
    milliseconds: float | None = Field(description="of a query on one thread, where the card was measured")


class StoreCard(BaseModel):
    """One store. `seconds` of work and `joules` are of its build and of all additions; null: not measured."""

    id: str
    name: str
    manifest: str
    generation: int
    passages: int
    bytes: int
    domains: dict[str, int] = Field(description=f"passages of each, the {_DOMAINS} largest first")
    more_domains: int
    encoder: EncoderModel
    index: IndexModel
    seconds: float | None
    joules: float | None
    energy_sources: list[str]

    @classmethod
    def of(cls, its_id: str, called: str, opened: OpenedStore) -> "StoreCard":
        """What is known of an opened store."""
        manifest, took = opened.store.manifest, taken(opened)
        most = Counter(manifest.domains).most_common()
        tower = manifest.encoder.for_queries
        return cls(
            id=its_id,
            name=called,
            manifest=opened.store.hash,
            generation=manifest.generation,
            passages=opened.store.passages,
            bytes=sum(file.bytes for file in manifest.files),
            domains=dict(most[:_DOMAINS]),
            more_domains=max(0, len(most) - _DOMAINS),
            encoder=EncoderModel(name=Path(tower.name).name or tower.name, dimension=tower.dimension),
            index=_index(opened),
            seconds=took.seconds,
            joules=took.joules,
            energy_sources=list(took.energy_sources),
        )


class CardReply(BaseModel):
    """The stores that are served, and who reads them."""

    stores: list[StoreCard]
    reader: dict[str, Any]

    @classmethod
    def of(cls, retriever: Retriever, reader: Reader) -> "CardReply":
        """What is known of a retriever's stores."""
        ids, names = store_ids(retriever), store_names(retriever)
        stores = [StoreCard.of(ids[name], names[name], one) for name, one in retriever.stores.items()]
        return cls(stores=stores, reader=reader_card(reader))


def _index(opened: OpenedStore) -> IndexModel:
    entry, rung = opened.store.manifest.index, usual_rung(opened)
    return IndexModel(
        key=entry.key,
        recall=entry.recall,
        measured_recall=None if rung is None else rung.recall_10,
        milliseconds=None if rung is None else rung.milliseconds,
    )
