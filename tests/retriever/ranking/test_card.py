import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.json import read_json
from datastore.view import View
from retriever.index.loading import in_memory
from retriever.local import LocalRetriever
from retriever.ranking.card import Card, Rung, read_card, write_card
from retriever.ranking.measuring import measure
from retriever.ranking.setting import Setting
from tests.vectors import chosen, dense, make_retriever, make_store, random_vectors

RUNGS = (
    Rung(1, 0, 0.5, 0.4, 0, 0.1),
    Rung(4, 50, 0.9, 0.6, 4096, 0.3),
    Rung(8, 100, 0.97, 0.95, 8192, 0.9),
    Rung(16, 100, 0.98, 0.96, 8192, 0.8),
)


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path, np.arange(600), random_vectors(0, 600), "IVF4,PQ4x4", per_shard=100)


def test_a_recall_gets_its_quickest_setting():
    card = Card("", 1000, 10, RUNGS)
    assert card.setting(0.4, 5) == Setting(1, 0)
    assert card.setting(0.9, 10) == Setting(4, 50)
    assert card.setting(0.95, 10) == Setting(16, 100)
    assert card.setting(0.6, 100) == Setting(4, 100)
    assert card.setting(0.9, 1000) == Setting(16, 1000)
    assert card.best(10) == Setting(16, 100)


def test_a_recall_nobody_measured_is_refused_with_the_best_there_is():
    with pytest.raises(RalmError, match=r"reach recall 0\.99 at 10: its best is 0\.980"):
        Card("", 1000, 10, RUNGS).setting(0.99, 10)


def test_a_card_is_read_as_it_was_written(store):
    index = in_memory(store.layout.root, store.manifest)
    card = measure(store, index, random_vectors(1, 5).astype(np.float32))
    path = store.layout.card("IVF4,PQ4x4", 0)
    assert read_card(store.layout, store.manifest) is None
    write_card(path, card)
    assert read_card(store.layout, store.manifest) == card
    write_card(path, Card("another", 1, 1, RUNGS))
    with pytest.raises(RalmError, match="belongs to another index: run `ralm card"):
        read_card(store.layout, store.manifest)
    for damaged in ("{}", "{"):
        path.write_text(damaged)
        with pytest.raises(RalmError, match="is not an index card: run `ralm card"):
            read_card(store.layout, store.manifest)


def test_without_a_card_the_default_is_stated_and_with_one_it_reaches_the_recall(store):
    index = in_memory(store.layout.root, store.manifest)
    queries = random_vectors(1, 20).astype(np.float32)
    unmeasured = make_retriever(store, queries, index)
    assert chosen(unmeasured, 5) == Setting(1, 200)
    card = measure(store, index, queries)
    hard = make_retriever(store, queries, index, card)
    best = chosen(hard, 5)
    rung = next(r for r in card.rungs if (r.nprobe, r.depth) == (best.nprobe, best.depth))
    assert rung.recall_10 >= 0.95
    assert chosen(hard, 5, nprobe=2, depth=7) == Setting(2, 7)
    assert chosen(hard, 5, recall=0.5) == card.setting(0.5, 5)
    assert hard.measured(dense(5, setting=best)) == rung.recall_10
    # Between two rungs it is at least the lower one's.
    assert hard.measured(dense(5, setting=Setting(best.nprobe, best.depth + 1))) == rung.recall_10
    assert unmeasured.measured(dense(5, setting=best)) is None
    # Of a sample nobody measured it, nor of more hits than a hundred.
    assert hard.measured(dense(5, View(0.5), best)) is None
    assert hard.measured(dense(100, setting=best)) is not None
    assert hard.measured(dense(101, setting=best)) is None


def test_a_built_store_has_a_card(tmp_path, corpus):
    from tests.conftest import build_store

    build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8")
    found = read_json(tmp_path / "s" / "index" / "IVF4,SQ8" / "card.0.json")
    assert found["queries"] == found["rows"]
    assert len(found["rungs"]) > 3
    assert LocalRetriever.open(tmp_path / "s").opened.card is not None
