import numpy as np
import pytest

from datastore.errors import RalmError
from datastore.layout import read_json
from datastore.view import View
from retriever.card import Card, Rung, exact, measure, probes, read_card, write_card
from retriever.index import Setting
from retriever.loading import in_memory
from retriever.search import Retriever
from tests.given import GivenVectors, make_store, random_vectors

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


def test_a_card_holds_what_a_search_then_finds(store):
    queries = random_vectors(1, 40).astype(np.float32)
    index = in_memory(store.layout.root, store.manifest)
    card = measure(store, index, queries)
    assert {(r.nprobe, r.depth) for r in card.rungs} == {
        (n, d) for n in (1, 2, 4) for d in (0, 20, 50, 100, 200, 400)
    }
    truth = exact(queries, store.shard_vectors(), 10)
    retriever = Retriever(store, GivenVectors(queries), index, card)
    for rung in card.rungs:
        setting = Setting(rung.nprobe, rung.depth)
        rankings = retriever.search([str(n) for n in range(40)], 10, setting=setting)
        found = [[hit.row for hit in ranking.hits] for ranking in rankings]
        recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, truth, strict=True)])
        assert recall == pytest.approx(rung.recall_10, abs=0.02)  # Ties with the last candidate count too.
        assert bool(rung.bytes_read) == bool(rung.depth)
        assert rung.milliseconds > 0
    assert max(r.recall_10 for r in card.rungs) == 1.0


def test_of_passages_with_one_text_any_will_do(tmp_path):
    # Each vector stands in the store three times: an exact search for the first ten may name any of them.
    vectors = np.repeat(random_vectors(0, 70), 3, axis=0)
    store = make_store(tmp_path, np.arange(210), vectors, "IVF1,PQ4x4", per_shard=50)
    queries = random_vectors(1, 30).astype(np.float32)
    card = measure(store, in_memory(store.layout.root, store.manifest), queries)
    (whole,) = (rung for rung in card.rungs if rung.depth == 200)
    assert (whole.recall_10, whole.recall_100) == (1.0, 1.0)
    (first,) = (rung for rung in card.rungs if rung.depth == 20)
    assert first.recall_10 < 1


def test_exact_search_is_over_all_shards(store):
    queries = random_vectors(2, 9).astype(np.float32)
    every = np.concatenate(list(store.shard_vectors())).astype(np.float32)
    assert (exact(queries, store.shard_vectors(), 7) == np.argsort(-(queries @ every.T), axis=1)[:, :7]).all()


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
    assert Retriever(store, GivenVectors(queries), index).setting(5) == Setting(1, 200)
    card = measure(store, index, queries)
    chosen = Retriever(store, GivenVectors(queries), index, card).setting(5)
    rung = next(r for r in card.rungs if (r.nprobe, r.depth) == (chosen.nprobe, chosen.depth))
    assert rung.recall_10 >= 0.95
    hard = Retriever(store, GivenVectors(queries), index, card)
    assert hard.setting(5, nprobe=2, depth=7) == Setting(2, 7)
    assert hard.setting(5, recall=0.5) == card.setting(0.5, 5)
    assert hard.measured(chosen, 5) == rung.recall_10
    # Between two rungs it is at least the lower one's.
    assert hard.measured(Setting(chosen.nprobe, chosen.depth + 1), 5) == rung.recall_10
    assert Retriever(store, GivenVectors(queries), index).measured(chosen, 5) is None
    # Of a sample nobody measured it, nor of more hits than a hundred.
    assert hard.measured(chosen, 5, View()) == rung.recall_10
    assert hard.measured(chosen, 5, View(0.5)) is None
    assert (hard.measured(chosen, 100) is None, hard.measured(chosen, 101)) == (False, None)


def test_every_power_of_two_of_lists_is_probed():
    assert list(probes(8)) == [1, 2, 4, 8]
    assert list(probes(10)) == [1, 2, 4, 8]
    assert list(probes(0)) == [0]


def test_a_built_store_has_a_card(tmp_path, corpus):
    from tests.conftest import build_store

    build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8")
    found = read_json(tmp_path / "s" / "index" / "IVF4,SQ8" / "card.0.json")
    assert found["queries"] == found["rows"]
    assert len(found["rungs"]) > 3
    assert Retriever.open(tmp_path / "s").card is not None
