import json

import pytest

from retriever.local import LocalRetriever
from retriever.opened import OpenedStore
from serve.schemas.cards import CardReply, StoreCard
from tests.conftest import add_to
from tests.corpus import documents, write_lines


class Reader:
    name, quantization, adapter, measured_bytes = "r", "none", None, 1


def card_of(store) -> StoreCard:
    (card,) = CardReply.of(LocalRetriever.open(store), Reader()).stores
    return card


def test_a_card_says_what_manifest_card_and_measured_files_say(store):
    opened, card = OpenedStore.open(store), card_of(store)
    manifest = opened.store.manifest
    assert (card.manifest, card.generation, card.passages) == (manifest.hash, 1, manifest.passages)
    assert card.bytes == sum(file.bytes for file in manifest.files) > 0
    assert sum(card.domains.values()) == card.passages
    assert list(card.domains.values()) == sorted(card.domains.values(), reverse=True)
    assert card.more_domains == 0
    assert (card.encoder.name, card.encoder.dimension) == ("all-MiniLM-L6-v2", 384)
    assert (card.index.key, card.index.recall, card.index.measured_recall) == ("Flat", 0.95, 1.0)
    assert card.index.milliseconds == min(rung.milliseconds for rung in opened.card.rungs)
    measured = json.loads((store / "manifests" / "000001.measured.json").read_text())
    assert (card.seconds, card.joules) == (measured["seconds"], measured["joules"])
    assert card.energy_sources == measured["energy_sources"]


def test_what_additions_took_is_added(own_store, tmp_path):
    before = card_of(own_store)
    new = documents()[0] | {
        "id": "new",
        "text": "A mill of red brick stands beside the old bridge, and grinds rye.",
    }
    add_to(own_store, write_lines(tmp_path / "more.jsonl", [new]))
    after = card_of(own_store)
    assert (after.generation, after.passages) == (2, before.passages + 1)
    assert after.seconds > before.seconds


def test_what_was_not_measured_is_not_told(own_store):
    for path in (own_store / "manifests").glob("*.measured.json"):
        path.write_text("{" if path.name.startswith("000001") else "")
    for path in (own_store / "index").glob("*/card.*"):
        path.unlink()
    card = card_of(own_store)
    assert (card.seconds, card.joules, card.energy_sources) == (None, None, [])
    assert (card.index.recall, card.index.measured_recall, card.index.milliseconds) == (0.95, None, None)


@pytest.mark.parametrize("domains", [11, 12, 30])
def test_of_many_domains_the_largest_are_told(own_store, domains):
    opened = OpenedStore.open(own_store)
    sizes = {f"d{at}": at + 1 for at in range(domains)}
    opened.store.manifest = opened.store.manifest.model_copy(update={"domains": sizes})
    card = StoreCard.of("vs_x", "x", opened)
    assert list(card.domains.values()) == sorted(sizes.values(), reverse=True)[:12]
    assert card.more_domains == max(0, domains - 12)
